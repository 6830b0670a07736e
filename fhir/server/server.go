package server

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/semaphore"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Searcher answers searches over one view of the repository; satisfied by
// *search.Engine.
type Searcher interface {
	// Search returns a page. Errors: Invalid for unknown or wrong parameters,
	// TooCostly over the cost limit.
	Search(ctx context.Context, ix search.Index, req search.Request) (*search.Page, error)
	// IDs returns at most limit ids of typ that match the query.
	IDs(ctx context.Context, ix search.Index, typ, query string, limit int) ([]string, error)
}

// Validator judges resources before they are stored.
type Validator interface {
	// Check returns the findings on a resource or a part of it. Errors and
	// fatal ones refuse the write.
	Check(ctx context.Context, res fhir.Node) []fault.Issue
}

// XML turns resources from and into XML.
type XML interface {
	ToJSON(xml []byte) ([]byte, error)
	FromJSON(json []byte) ([]byte, error)
}

// Parts are what a Server is made of. Store and Model are needed; where another
// part is nil its ability is neither offered nor listed in the capabilities.
type Parts struct {
	Store      store.Store
	Model      *definitions.Model
	Search     Searcher
	Validator  Validator
	Patcher    store.Patcher // judges PATCH before it is stored; nil = the store alone applies it
	XML        XML
	Operations []Operation
	// Extensions are what the CapabilityStatement says beyond its elements, for
	// the base address that a client used; nil = nothing.
	Extensions func(base string) []Extension
	Clock      clock.Clock   // default: the system's
	Log        *slog.Logger  // default: slog.Default
	Metrics    *Metrics      // nil = not measured
	NewID      func() string // draws resource and transaction ids; default UUID version 7 of one process
	// Tracer makes spans of the steps of a request; nil = none.
	Tracer trace.Tracer
	// Actor names the caller for the log, from what an authenticating
	// middleware left in the context; nil = nobody.
	Actor func(context.Context) string
}

// Server is the FHIR REST interface. Make it with New; it is safe for
// concurrent use.
type Server struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	clock   clock.Clock
	pages   pager
	limits  *limiter
	bodies  *semaphore.Weighted // bytes of large bodies
	named   map[string]*Operation
	table   map[routeKey]route
	jobs    *jobs.Manager
	keys    keys
	rest    []byte // rest[0] of the CapabilityStatement
	started time.Time
}

// New returns a server of the parts. Errors: a wrong configuration or a missing
// part.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if parts.Store == nil || parts.Model == nil {
		return nil, fault.New(fault.Invalid, "fhir server needs a store and the definitions")
	}
	if parts.Clock == nil {
		parts.Clock = clock.System{}
	}
	if parts.Log == nil {
		parts.Log = slog.Default()
	}
	if parts.NewID == nil {
		parts.NewID = newIDs().New
	}
	if parts.Tracer == nil {
		parts.Tracer = noop.Tracer{}
	}
	s := &Server{cfg: cfg, parts: parts, log: parts.Log, clock: parts.Clock,
		pages: pager{key: cfg.PageKey}, limits: newLimiter(cfg.Rate, cfg.Burst), named: map[string]*Operation{},
		table: table(), bodies: semaphore.NewWeighted(cfg.Bodies), started: parts.Clock.Now()}
	for i := range parts.Operations {
		op := &parts.Operations[i]
		s.named[op.Name] = op
	}
	limits := jobs.Default()
	limits.Workers = cfg.Jobs
	s.jobs = jobs.New(limits, s.clock, newJobID)
	s.rest = s.restPart(nil, nil)
	return s, nil
}

// Close cancels the asynchronous jobs and waits for them.
func (s *Server) Close() { s.jobs.Close() }

// step begins a span of a request's inner work.
func (s *Server) step(ctx context.Context, name string) (trace.Span, context.Context) {
	ctx, span := s.parts.Tracer.Start(ctx, name)
	return span, ctx
}

// snapshot pins a view no older than the client asked for.
func (s *Server) snapshot(ctx context.Context, r *Request) (store.Snapshot, error) {
	if r.MinOffset > 0 {
		var span trace.Span
		ctx, span = s.parts.Tracer.Start(ctx, "await offset")
		defer span.End()
	}
	return s.parts.Store.Snapshot(ctx, r.MinOffset)
}
