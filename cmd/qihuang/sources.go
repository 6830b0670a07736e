package main

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/dbpoll"
	"github.com/qihuang-health/qihuang/adapters/fhirfeed"
	"github.com/qihuang-health/qihuang/adapters/files"
	"github.com/qihuang-health/qihuang/adapters/hl7v2/mllp"
	"github.com/qihuang-health/qihuang/adapters/ingest"
	"github.com/qihuang-health/qihuang/adapters/keys"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/checked"
	"github.com/qihuang-health/qihuang/fhir/store/trace"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/journal"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// openDesk makes the desk of sources; what the queue does is told to it.
func (h *hub) openDesk() (err error) {
	h.desk, err = source.New(source.Config{File: h.dir("sources.json"), Zone: h.zone},
		source.Parts{Inbound: h.inbound, Letters: h.letters, IDs: pipeline.NewIDs(h.clock), Clock: h.clock, Log: h.log}, h.inbound.Wake)
	if err != nil {
		return err
	}
	find := func(m *pipeline.Message) (out []journal.Key) {
		for _, k := range keys.Of(m) {
			out = append(out, journal.Key{Type: journal.KeyType(k.Type), Value: k.Value})
		}
		return out
	}
	if h.journal, err = journal.Open(journal.Default(h.dir("journal")), h.kafka, find, h.clock, h.log.With("part", "journal")); err != nil {
		return err
	}
	h.onClose(h.journal.Close)
	h.inbound.Watch(h.desk, h.journal)
	h.inbound.HoldWhile(h.desk.Held)
	return nil
}

// sinkStore is the repository for the sinks of a source: checked by its policy,
// traced to its messages, and able to try a write without effect.
func (h *hub) sinkStore(source string) store.Store {
	return checked.New(trace.New(h.store, h.wrote), h.policy(source))
}

// wrote tells the journal what a message's transaction wrote.
func (h *hub) wrote(tx *store.Transaction, r *store.Result) {
	var refs []string
	for _, o := range r.Outcomes {
		if o.Version != nil && o.Changed {
			refs = append(refs, o.Version.Type+"/"+o.Version.ID+"/"+strconv.FormatInt(o.Version.Version, 10))
		}
	}
	if tx.Source != "" && len(refs) > 0 {
		h.journal.Wrote(tx.Source, refs)
	}
}

// explainMessage gives a message to its sink without effect and as if nothing
// were stored: the ops are what its map makes of it.
func (h *hub) explainMessage(ctx context.Context, m *pipeline.Message) ([]store.Op, error) {
	p := trace.Plan{Fresh: true}
	err := h.inbound.Try(trace.WithPlan(ctx, &p), m)
	return p.Ops, err
}

// checkMessage tells what a sink would refuse.
func (h *hub) checkMessage(ctx context.Context, m *pipeline.Message) error {
	return h.inbound.Try(trace.WithPlan(ctx, &trace.Plan{}), m)
}

// mountSources adds the general doors and makes every configured source; run
// serves them. After the sinks of all messages are named.
func (h *hub) mountSources(r gin.IRouter) error {
	model := h.model
	h.inbound.Handle(fhirfeed.Kind, fhirfeed.NewSink(h.sinkStore("fhir"), func(b []byte) ([]byte, error) { return xml.ToJSON(model, b) }))
	parts := ingest.Parts{Check: h.checkMessage}
	if h.cfg.loopback() && len(h.cfg.Sources) == 0 {
		parts.Unknown = func(name string) *ingest.Source {
			return &ingest.Source{Config: ingest.Default(), Intake: h.desk.Intake(name)}
		}
	}
	door := ingest.New(parts)
	door.Mount(r)
	pushers := fhirfeed.PushSink{}
	h.inbound.Handle(fhirfeed.PushKind, pushers)
	h.states = map[string]*source.State{}
	h.desk.Register("his", "http", "/ingest/his、/services/TCM_HIS_NN", source.DefaultRules())
	h.desk.Register("mllp", "mllp", h.cfg.addr(h.cfg.Ports.MLLP), source.DefaultRules())
	for _, c := range h.cfg.Sources {
		run, note, err := h.openSource(c, door, pushers)
		if err != nil {
			return fault.New(fault.KindOf(err), "来源 %s：%w", c.Name, err)
		}
		h.desk.Register(c.Name, c.Kind, note, c.Rules)
		if run != nil {
			h.sources = append(h.sources, run)
		}
	}
	return nil
}

// openSource makes one source: what to run, if anything, and a note on where it
// is.
func (h *hub) openSource(c SourceConfig, door *ingest.Door, pushers fhirfeed.PushSink) (run func(context.Context) error, note string, err error) {
	intake := h.desk.Intake(c.Name)
	state, err := source.OpenState(h.dir("sources"), c.Name)
	if err != nil {
		return nil, "", err
	}
	h.states[c.Name] = state
	drop := files.Parts{Intake: intake, State: state, Kind: c.Map, Check: h.checkMessage}
	switch c.Kind {
	case "http":
		door.Add(&ingest.Source{Config: *c.HTTP, Kind: c.Map, Intake: intake})
		return nil, "/ingest/" + c.Name, nil
	case "soap":
		door.Add(&ingest.Source{Config: *c.SOAP, Kind: c.Map, Intake: intake})
		return nil, "/soap/" + c.Name, nil
	case "files":
		return files.New(*c.Files, drop).Run, c.Files.Folder, nil
	case "sftp":
		return files.NewSFTP(*c.SFTP, drop).Run, "sftp://" + c.SFTP.Address + "/" + strings.TrimPrefix(c.SFTP.Folder, "/"), nil
	case "s3":
		return files.NewS3(*c.S3, drop).Run, "s3://" + filepath.Join(c.S3.Bucket, c.S3.Folder), nil
	case "mllp":
		return h.openListener(c)
	case "db":
		p, err := dbpoll.New(*c.DB, dbpoll.Parts{Intake: intake, State: state, Dir: filepath.Join(h.dir("sources"), c.Name+".rows"), Kind: c.Map})
		if err != nil {
			return nil, "", err
		}
		h.onClose(p.Close)
		return p.Run, string(c.DB.Driver), nil
	case "fhir-pull":
		return fhirfeed.NewPuller(*c.FHIR, h.outbound.HTTP(2*time.Minute), intake, state).Run, c.FHIR.Base, nil
	case "fhir-push":
		p, err := fhirfeed.NewPusher(*c.Push, fhirfeed.PushParts{Repository: h.store, Search: h.search, HTTP: h.outbound.HTTP(0), Intake: intake})
		if err != nil {
			return nil, "", err
		}
		pushers[c.Name] = p
		return h.pushing(c.Name, p), "→ " + c.Push.Base, nil
	case "ncms":
		return h.settlementOf(c.Name)
	}
	return nil, "", fault.New(fault.Invalid, "kind %q 还不能使用", c.Kind)
}

// pushing runs a pusher on one node at a time. Its place in the log is the
// group's: what the peer has answered for is never sent again.
func (h *hub) pushing(name string, p *fhirfeed.Pusher) func(context.Context) error {
	return func(ctx context.Context) error {
		return h.kafka.Consume(ctx, "qihuang-push-"+name, kafka.Transactions, func(ctx context.Context, claim *kafka.Claim) error {
			return p.Follow(ctx, claim.Committed, claim.Commit)
		})
	}
}

// openListener opens one more MLLP port.
func (h *hub) openListener(c SourceConfig) (func(context.Context) error, string, error) {
	cfg := c.MLLP.listener(c.Name)
	var err error
	if cfg.TLS, err = c.MLLP.tls(); err != nil {
		return nil, "", err
	}
	l, err := mllp.Listen(cfg, h.mllpParts())
	if err != nil {
		return nil, "", portTaken(err, cfg.Addr)
	}
	note := cfg.Addr
	if cfg.TLS != nil {
		note += "（TLS）"
	}
	return l.Run, note, nil
}
