package desk

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Searcher finds resources by a FHIR search query; *search.Engine is one.
type Searcher interface {
	IDs(ctx context.Context, ix search.Index, typ, query string, limit int) ([]string, error)
}

// Config of a desk.
type Config struct {
	Source  string        // name of the source, part of every id
	Grace   time.Duration // a settlement nobody was told of is reversed after it
	Retry   time.Duration // open steps are looked at so often, then less
	Horizon time.Duration // a settlement the centre never listed is given up after it
	Record  time.Duration // one commit may take so long
	Zone    *time.Location
}

// Default is a desk that gives a hall half an hour to try again.
func Default(source string) Config {
	return Config{Source: source, Grace: 30 * time.Minute, Retry: 30 * time.Second, Horizon: 48 * time.Hour, Record: 5 * time.Second,
		Zone: time.FixedZone("CST", 8*3600)}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	if c.Source == "" || c.Grace <= 0 || c.Retry <= 0 || c.Horizon <= c.Grace || c.Record <= 0 || c.Zone == nil {
		return fault.New(fault.Invalid, "ncms: source、grace、retry、horizon 应设置，且 horizon 大于 grace")
	}
	return nil
}

// Parts is what a desk needs of the hub.
type Parts struct {
	Scheme ncms.Scheme // the centre
	Store  store.Store
	Search Searcher
	Clock  clock.Clock
	Log    *slog.Logger
}

// Desk implements [ncms.Scheme] and [ncms.Diagnoser]. Safe for concurrent use.
type Desk struct {
	cfg     Config
	parts   Parts
	encoder model.Encoder

	mu    sync.Mutex
	locks map[string]*turn // by visit
}

// turn is a lock and how many wait for it.
type turn struct {
	sync.Mutex
	users int
}

// New returns a desk. cfg must be valid.
func New(cfg Config, parts Parts) *Desk {
	return &Desk{cfg: cfg, parts: parts, locks: map[string]*turn{}}
}

// Centre is the scheme behind the desk.
func (d *Desk) Centre() ncms.Scheme { return d.parts.Scheme }

// lock gives one caller at a time the visit; the returned func gives it back.
func (d *Desk) lock(visit string) func() {
	d.mu.Lock()
	l := d.locks[visit]
	if l == nil {
		l = &turn{}
		d.locks[visit] = l
	}
	l.users++
	d.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		d.mu.Lock()
		if l.users--; l.users == 0 {
			delete(d.locks, visit)
		}
		d.mu.Unlock()
	}
}

func (d *Desk) now() time.Time { return d.parts.Clock.Now().In(d.cfg.Zone) }

// dateTime is now as FHIR writes it.
func (d *Desk) dateTime() string { return d.now().Format(time.RFC3339) }

// commit writes ops in one transaction. What the centre did must be written even
// if the caller is gone.
func (d *Desk) commit(ctx context.Context, ops ...store.Op) (*store.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Record)
	defer cancel()
	return d.parts.Store.Commit(ctx, &store.Transaction{ID: uuid.NewString(), Actor: d.cfg.Source, Time: d.parts.Clock.Now().UTC().Truncate(time.Millisecond), Ops: ops})
}

// puts makes updates of resources.
func (d *Desk) puts(rs ...tcm.Resource) ([]store.Op, error) {
	ops := make([]store.Op, 0, len(rs)+1)
	for _, r := range rs {
		body, err := d.encoder.Marshal(r.Model)
		if err != nil {
			return nil, err
		}
		ops = append(ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, SkipSame: true, Resource: body})
	}
	return ops, nil
}

// save writes resources.
func (d *Desk) save(ctx context.Context, rs ...tcm.Resource) error {
	ops, err := d.puts(rs...)
	if err != nil {
		return err
	}
	_, err = d.commit(ctx, ops...)
	return err
}

// view is a look at the repository.
type view struct {
	desk *Desk
	snap store.Snapshot
}

// look opens a view; the caller closes its snap.
func (d *Desk) look(ctx context.Context) (*view, error) {
	snap, err := d.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	return &view{d, snap}, nil
}

func (v *view) close() { _ = v.snap.Close() } // a view has nothing to lose

// read returns a current resource with its version; absent and 0 if there is none.
func (v *view) read(typ, id string) (fhir.Node, int64, error) {
	return store.Current(v.snap, typ, id)
}

// most is how many resources of one kind a visit may have.
const most = 1000

// find returns the ids that match a query.
func (v *view) find(ctx context.Context, typ, query string) ([]string, error) {
	return v.desk.parts.Search.IDs(ctx, v.snap.Index(), typ, query, most)
}

// token writes system|value for a query.
func token(system, value string) string { return escape(system) + "%7C" + escape(value) }

func escape(s string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "=", "%3D", "#", "%23", " ", "%20",
		"|", "%5C%7C", ",", "%5C%2C", "$", "%5C%24", "\\", "%5C%5C").Replace(s)
}

// claimOf reads a visit's Claim; a bare one if the hub was not asked to register it.
func (v *view) claimOf(who ncms.Visit) (record.Claim, bool, error) {
	n, version, err := v.read("Claim", record.ClaimID(v.desk.cfg.Source, who.Number))
	if err != nil || version > 0 {
		return record.ReadClaim(n, v.desk.cfg.Source), version > 0, err
	}
	now := v.desk.now()
	return record.Claim{Source: v.desk.cfg.Source, Hospital: who.Hospital, Number: who.Number, Person: who.Person, Inpatient: who.Inpatient,
		PatientID: record.PatientID(v.desk.cfg.Source, who.Person, who.Number), Year: now.Format("2006"), Date: now.Format(time.DateOnly)}, false, nil
}
