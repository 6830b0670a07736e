// Package jobs runs work that outlives its request: asynchronous interactions
// (async.html), exports, reindexing. A manager bounds how many run at a time,
// tells their progress, cancels them and forgets them some time after their end.
package jobs

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config are the limits of a Manager.
type Config struct {
	Workers int           // jobs running at the same time
	Waiting int           // jobs waiting to run; one more is refused with fault.Busy
	Keep    time.Duration // how long the result of an ended job is kept
}

// Default returns the limits used without a file.
func Default() Config { return Config{Workers: 2, Waiting: 100, Keep: time.Hour} }

// State is where a job stands.
type State string

// The states of a job; the last three are final.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Status is what can be told about a job.
type Status struct {
	ID       string
	Name     string // what it does, e.g. "export"; no health data
	Owner    string // who started it
	State    State
	Progress string // e.g. "Patient 12000", free text without health data
	Started  time.Time
	Ended    time.Time // zero while not ended
	Result   any       // what Run returned, once Done
	Err      error     // once Failed
}

// Over reports whether the job is over.
func (s Status) Over() bool { return s.State == Done || s.State == Failed || s.State == Cancelled }

// Run is the work of a job. It tells its progress by calling progress and ends
// when ctx does.
type Run func(ctx context.Context, progress func(string)) (any, error)

// Manager runs jobs. Make it with New and Close it at the end.
type Manager struct {
	cfg   Config
	clock clock.Clock
	newID func() string
	ctx   context.Context // ends all jobs; the manager is the owner of their lifetime
	stop  context.CancelFunc
	slots chan struct{}
	wg    sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*job
}

type job struct {
	Status
	cancel context.CancelFunc
	since  time.Time // from when an ended job's result is kept: its end, or the restart after it
}

// New returns a manager that draws job ids with newID.
func New(cfg Config, c clock.Clock, newID func() string) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	return &Manager{cfg: cfg, clock: c, newID: newID, ctx: ctx, stop: stop,
		slots: make(chan struct{}, cfg.Workers), jobs: map[string]*job{}}
}

// Close cancels every job and waits for them to end.
func (m *Manager) Close() {
	m.stop()
	m.wg.Wait()
}

// Start queues run and returns the job's id; fault.Busy if too many wait,
// fault.Unavailable after Close.
func (m *Manager) Start(name, owner string, run Run) (string, error) {
	return m.StartAs(m.newID(), name, owner, run)
}

// StartAs is Start with an id of the caller's, as for work that goes on after a
// restart; fault.Conflict if there is a job of that id.
func (m *Manager) StartAs(id, name, owner string, run Run) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return "", fault.New(fault.Unavailable, "shutting down")
	}
	m.forget()
	open := 0
	for _, j := range m.jobs {
		if !j.Over() {
			open++
		}
	}
	if open >= m.cfg.Workers+m.cfg.Waiting {
		return "", fault.New(fault.Busy, "too many jobs")
	}
	if m.jobs[id] != nil {
		return "", fault.New(fault.Conflict, "there is a job %s", id)
	}
	ctx, cancel := context.WithCancel(m.ctx)
	j := &job{Status: Status{ID: id, Name: name, Owner: owner, State: Waiting, Started: m.clock.Now()}, cancel: cancel}
	m.jobs[j.ID] = j
	m.wg.Go(func() { m.work(ctx, j, run) })
	return j.ID, nil
}

// Restore makes an ended job known again, as after a restart. It is forgotten as
// if it had ended now; without an end it did.
func (m *Manager) Restore(st Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	if st.Ended.IsZero() {
		st.Ended = now
	}
	m.jobs[st.ID] = &job{Status: st, cancel: func() {}, since: now}
}

// work waits for a slot, runs the job and keeps what became of it.
func (m *Manager) work(ctx context.Context, j *job, run Run) {
	defer j.cancel()
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		m.end(j, nil, ctx.Err())
		return
	}
	m.set(j, func() { j.State = Running })
	result, err := run(ctx, func(p string) { m.set(j, func() { j.Progress = p }) })
	if ctx.Err() != nil && err == nil {
		err = ctx.Err()
	}
	m.end(j, result, err)
}

func (m *Manager) end(j *job, result any, err error) {
	m.set(j, func() {
		j.Ended = m.clock.Now()
		j.since = j.Ended
		switch {
		case err == nil:
			j.State, j.Result = Done, result
		case j.State == Cancelled || m.ctx.Err() != nil:
			j.State = Cancelled
		default:
			j.State, j.Err = Failed, err
		}
	})
}

func (m *Manager) set(j *job, change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// Get returns the status of a job, fault.NotFound if there is none (any more).
func (m *Manager) Get(id string) (Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	j := m.jobs[id]
	if j == nil {
		return Status{}, fault.New(fault.NotFound, "no such job")
	}
	return j.Status, nil
}

// Cancel ends a job, or forgets the result of an ended one; fault.NotFound if
// there is none or it was cancelled before.
func (m *Manager) Cancel(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[id]
	if j == nil || j.State == Cancelled {
		return fault.New(fault.NotFound, "no such job")
	}
	if !j.Over() {
		j.cancel()
	}
	j.State, j.Result, j.Err = Cancelled, nil, nil
	return nil
}

// List returns all jobs, newest first.
func (m *Manager) List() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	list := make([]Status, 0, len(m.jobs))
	for _, j := range m.jobs {
		list = append(list, j.Status)
	}
	slices.SortFunc(list, func(a, b Status) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return list
}

// forget drops ended jobs whose time is over. The caller holds mu.
func (m *Manager) forget() {
	oldest := m.clock.Now().Add(-m.cfg.Keep)
	for id, j := range m.jobs {
		if !j.Ended.IsZero() && j.since.Before(oldest) {
			delete(m.jobs, id)
		}
	}
}
