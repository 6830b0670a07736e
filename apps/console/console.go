// Package console is the operator's face of the hub: the first page with what
// is running and what the warehouse knows, and the console API for messages
// that could not take effect.
package console

import (
	"context"
	"html/template"
	"log/slog"
	"time"

	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/web"
)

// Part is one component of the hub as the first page shows it.
type Part struct {
	Name, Address, Note string
	OK                  bool
}

// Fate is what became of one message.
type Fate struct {
	Time                 time.Time
	Source, Kind, Reason string
	State                State
}

// State is how far a message has come.
type State string

// The states of a message.
const (
	Waiting State = "处理中"
	Done    State = "已入库"
	Repeat  State = "重复，已合并"
	Dead    State = "待修复"
)

// Class returns the style of the state's label, with a leading space, or "".
func (f Fate) Class() string {
	switch f.State {
	case Dead:
		return " bad"
	case Waiting:
		return " warn"
	}
	return ""
}

// Fate returns the words shown for the state.
func (f Fate) Fate() string { return string(f.State) }

// Stats are the hub's own counters.
type Stats struct {
	Messages, Lag, DeadLetters int64 // inbound: received, not yet handled, refused and unrepaired
	Applied, WarehouseLag      int64 // repository: log position; changes not yet in SQL
	Parts                      []Part
	Recent                     []Fate
}

// Hub tells the console about the running system.
type Hub interface {
	// Stats counts what is there now. It must be cheap: every open page asks
	// every five seconds.
	Stats(ctx context.Context) Stats
	// Replay hands a dead letter to its source's map again; fault.NotFound.
	Replay(ctx context.Context, id string) error
}

// Querier runs analytic SQL with named parameters bound by the server; each row
// is scanned by fn.
type Querier interface {
	Query(ctx context.Context, sql string, params map[string]string, fn func(scan func(dest ...any) error) error) error
}

// Config says how the console shows itself.
type Config struct {
	Version string
	Zone    *time.Location // days and times of every page
	Local   bool           // loopback without login: pages say so
	Base    string         // address of the hub as people type it
	SQLBase string         // address of the ClickHouse HTTP interface
}

// Parts are what the pages show. Hub, SQL and Letters are needed; a page whose
// part is nil is not mounted.
type Parts struct {
	Hub     Hub
	SQL     Querier
	Letters pipeline.DeadLetters
	Log     *slog.Logger

	Repository    *Repository   // resource browser and search builder
	Jobs          *jobs.Manager // long work
	Subscriptions Subscriptions
	Settlements   Settlements
	Flow          *Flow // sources and messages
}

// Console serves the operator's pages and API.
type Console struct {
	Parts
	cfg   Config
	pages *template.Template
	facts cached
}

// New makes a console. The templates are parsed once; an error means a broken
// build.
func New(cfg Config, parts Parts) (*Console, error) {
	pages, err := web.Pages("console", cfg.Zone)
	if err != nil {
		return nil, err
	}
	return &Console{Parts: parts, cfg: cfg, pages: pages}, nil
}
