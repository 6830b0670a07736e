package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
)

// Config says where the desk keeps what must survive a restart.
type Config struct {
	File string         // paused sources and alerts, JSON
	Zone *time.Location // of the sources' hours
}

// Parts is what the desk needs of the hub.
type Parts struct {
	Inbound pipeline.Inbound
	Letters pipeline.DeadLetters
	IDs     *pipeline.IDs
	Clock   clock.Clock
	Log     *slog.Logger
}

// Desk knows every source. Safe for concurrent use.
type Desk struct {
	cfg   Config
	parts Parts
	moved func() // told when a source goes on

	mu     sync.Mutex
	lines  map[string]*line
	alerts []*Alert // open and recently closed, oldest first
}

// line is what the desk knows of one source.
type line struct {
	name, kind, note string
	rules            Rules
	limiter          *rate.Limiter
	paused           bool
	health
}

// kept is the desk's file.
type kept struct {
	Paused []string `json:"paused"`
	Alerts []*Alert `json:"alerts"`
}

// New reads the desk's file. moved is called when a source goes on after a
// pause.
func New(cfg Config, parts Parts, moved func()) (*Desk, error) {
	d := &Desk{cfg: cfg, parts: parts, moved: moved, lines: map[string]*line{}}
	b, err := os.ReadFile(cfg.File)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "sources file %s: %w", cfg.File, err)
	}
	d.alerts = k.Alerts
	for _, name := range k.Paused {
		d.line(name).paused = true
	}
	return d, nil
}

// Register names a configured source: its kind and a note for people (address,
// folder). The same name again changes it.
func (d *Desk) Register(name, kind, note string, rules Rules) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.line(name)
	l.kind, l.note, l.rules, l.limiter = kind, note, rules, nil
	if rules.Limit > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(rules.Limit), max(1, int(rules.Limit)))
	}
}

// line returns a source, made when it is first heard of. The caller holds mu,
// or nobody else knows d yet.
func (d *Desk) line(name string) *line {
	l := d.lines[name]
	if l == nil {
		l = &line{name: name, rules: DefaultRules()}
		l.since = d.parts.Clock.Now()
		d.lines[name] = l
	}
	return l
}

// Held reports whether a source's messages must wait: it is paused, or outside
// its hours.
func (d *Desk) Held(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lines[name]
	return l != nil && (l.paused || !l.rules.open(d.parts.Clock.Now().In(d.cfg.Zone)))
}

// Pause stops a source: pollers rest, what is pushed is kept and handled after
// Resume. fault.NotFound for a source nobody heard of.
func (d *Desk) Pause(name string) error { return d.setPaused(name, true) }

// Resume lets a source go on.
func (d *Desk) Resume(name string) error { return d.setPaused(name, false) }

func (d *Desk) setPaused(name string, paused bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lines[name]
	if l == nil {
		return fault.New(fault.NotFound, "没有名为 %.60q 的来源", name)
	}
	l.paused = paused
	if err := d.save(); err != nil {
		return err
	}
	if !paused {
		d.moved()
	}
	return nil
}

// save writes the desk's file; the caller holds mu.
func (d *Desk) save() error {
	k := kept{Paused: []string{}, Alerts: d.alerts}
	for name, l := range d.lines {
		if l.paused {
			k.Paused = append(k.Paused, name)
		}
	}
	slices.Sort(k.Paused)
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.cfg.File+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(d.cfg.File+".new", d.cfg.File)
}

// Append implements pipeline.Inbound with the source's throughput limit: over
// it the sender waits, and is told fault.Busy when that takes too long.
func (d *Desk) Append(ctx context.Context, m *pipeline.Message) (pipeline.Position, error) {
	d.mu.Lock()
	l := d.line(m.Source)
	limiter := l.limiter
	d.mu.Unlock()
	if limiter != nil {
		wait, cancel := context.WithTimeout(ctx, longestWait)
		err := limiter.Wait(wait)
		cancel()
		if err != nil {
			return pipeline.Position{}, fault.New(fault.Busy, "来源 %s 超过每秒 %g 条的上限，请稍后重发", m.Source, l.rules.Limit)
		}
	}
	d.wait(l, 1) // before the message can be settled
	pos, err := d.parts.Inbound.Append(ctx, m)
	if err != nil {
		d.wait(l, -1)
		return pos, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l.received(d.parts.Clock.Now())
	return pos, nil
}

// wait counts a message that waits, or does no more.
func (d *Desk) wait(l *line, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.waiting = max(0, l.waiting+n)
}

const longestWait = 5 * time.Second

// Settled implements inbound.Watcher.
func (d *Desk) Settled(m *pipeline.Message, s inbound.State, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line(m.Source).settled(d.parts.Clock.Now(), s, reason)
}

// sent counts resources that went out as received and done.
func (d *Desk) sent(name string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, l := d.parts.Clock.Now(), d.line(name)
	for _, c := range []*Counts{l.slot(now), &l.total} {
		c.Received += int64(n)
		c.Done += int64(n)
	}
	l.lastMessage, l.lastDone = now, now
	l.waiting = max(0, l.waiting-int64(n))
}

func (d *Desk) backlog(name string, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line(name).waiting = n
}

// Letters returns the dead letters for doors: what they put there counts as
// received and refused.
func (d *Desk) Letters() pipeline.DeadLetters { return doorLetters{d.parts.Letters, d} }

type doorLetters struct {
	pipeline.DeadLetters
	desk *Desk
}

// Put implements pipeline.DeadLetters.
func (l doorLetters) Put(ctx context.Context, letter *pipeline.DeadLetter) error {
	err := l.DeadLetters.Put(ctx, letter)
	if err == nil {
		l.desk.mu.Lock()
		now := l.desk.parts.Clock.Now()
		line := l.desk.line(letter.Message.Source)
		line.received(now)
		line.waiting++
		line.settled(now, inbound.Dead, letter.Reason)
		l.desk.mu.Unlock()
	}
	return err
}

// List returns how every source is, by name.
func (d *Desk) List() []Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.parts.Clock.Now()
	out := make([]Status, 0, len(d.lines))
	for _, l := range d.lines {
		s := l.status(now)
		s.Held = l.paused || !l.rules.open(now.In(d.cfg.Zone))
		for _, a := range d.alerts {
			if a.Source == l.name && a.Closed == nil {
				s.Alerts++
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Get returns one source; fault.NotFound.
func (d *Desk) Get(name string) (Status, error) {
	for _, s := range d.List() {
		if s.Name == name {
			return s, nil
		}
	}
	return Status{}, fault.New(fault.NotFound, "没有名为 %.60q 的来源", name)
}

var (
	_ pipeline.Inbound = (*Desk)(nil)
	_ inbound.Watcher  = (*Desk)(nil)
)
