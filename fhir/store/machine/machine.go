package machine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Machine applies the log to a KV and answers from it. It implements
// store.Store and store.Feed; it works while Run runs.
type Machine struct {
	cfg     Config
	kv      KV
	codec   *store.Codec
	parsers sync.Pool
	views   *views
	rows    *rows
	pending *semaphore.Weighted
	index   atomic.Pointer[indexing]
	reindex chan *reindexing
	active  *reindexing   // owned by Run's apply loop, as built
	built   *building     // begun, not offered yet
	changed chan struct{} // a SearchParameter was written, or an Offer applied

	st     state   // owned by Run's apply loop after New
	sorter *sorter // as st

	mu      sync.Mutex
	applied int64
	moved   chan struct{} // closed and replaced when applied moves
	tickets map[string]*ticket
	stopped error                   // why Run ended
	made    map[int64]store.Indexer // who made the keys since an Offer, by state.offered

	ready atomic.Bool
}

// ticket is a submitted transaction that waits to be applied.
type ticket struct {
	prepared *prepared
	done     chan struct{}
	offset   int64
	outs     []store.Outcome
	err      error
}

// New returns a machine on kv, with the state it finds there.
func New(cfg Config, kv KV) (*Machine, error) {
	m := &Machine{cfg: cfg.Defaults(), kv: kv, sorter: newSorter(), codec: store.NewCodec(), moved: make(chan struct{}), tickets: map[string]*ticket{},
		changed: make(chan struct{}, 1), made: map[int64]store.Indexer{}}
	m.pending = semaphore.NewWeighted(m.cfg.Pending)
	m.reindex = make(chan *reindexing)
	m.parsers.New = func() any { return &fhir.Parser{} }
	m.rows = newRows(m.cfg.Rows)
	m.views = newViews(kv, m.cfg.Clock, m.cfg.RetainViews, m.cfg.RetainFor)
	v := kv.View()
	defer v.Close()
	val, ok, err := v.Get(nil, stateKey)
	if err != nil {
		return nil, fmt.Errorf("read repository state: %w", err)
	}
	if m.st, err = decodeState(val, ok); err != nil {
		return nil, err
	}
	m.applied = m.st.applied
	return m, m.loadOffer(v)
}

// Applied returns the last log offset applied, -1 if none.
func (m *Machine) Applied() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

// Ready reports whether Run has caught up with the log as it was when it began.
func (m *Machine) Ready() bool { return m.ready.Load() }

// job is a record on its way from the log to apply.
type job struct {
	offset, ms int64
	id         string
	size       int64
	ticket     *ticket
	prepared   *prepared
	done       chan struct{}
}

// Run reads the log from where the state stands and applies it, until ctx
// ends (nil) or the log or the map fails.
func (m *Machine) Run(ctx context.Context) (err error) {
	defer func() { m.stop(err) }()
	defer m.views.closeAll()
	first, next, err := m.cfg.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	if m.st.applied+1 < first || m.st.applied+1 > next {
		return fault.New(fault.Internal, "repository stands at offset %d but the log holds %d to %d: restore a snapshot, or remove the repository's folder to rebuild it from a whole log",
			m.st.applied, first, next-1)
	}
	target := next - 1
	m.catchUp(target)
	ctx, cancel := context.WithCancel(ctx)
	jobs := make(chan *job, 1024)
	room := semaphore.NewWeighted(m.cfg.Ahead)
	var readErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(jobs)
		readErr = m.read(ctx, m.st.applied+1, m.st.lastMS, jobs, room, &wg)
	})
	wg.Go(func() { m.views.expireLoop(ctx) })
	defer wg.Wait()
	defer cancel()
	for {
		j, more, err := m.nextJob(jobs)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		<-j.done
		if err := m.finish(j); err != nil {
			return err
		}
		room.Release(j.size)
		m.catchUp(target)
	}
	if errors.Is(readErr, context.Canceled) {
		return nil
	}
	return readErr
}

func (m *Machine) catchUp(target int64) {
	if !m.ready.Load() && m.st.applied >= target {
		m.ready.Store(true)
		m.cfg.Logger.Info("repository ready", "offset", m.st.applied)
	}
}

// read turns records into jobs in order and starts their preparation.
func (m *Machine) read(ctx context.Context, from, lastMS int64, jobs chan<- *job, room *semaphore.Weighted, wg *sync.WaitGroup) error {
	return m.cfg.Log.Read(ctx, from, func(offset int64, record []byte) error {
		j := &job{offset: offset, size: min(int64(len(record))+512, m.cfg.Ahead), done: make(chan struct{})}
		if err := room.Acquire(ctx, j.size); err != nil {
			return err
		}
		h, err := m.codec.Header(record)
		if err != nil {
			// Not ours or damaged: skipped by every node alike.
			m.cfg.Logger.Error("unreadable transaction record", "offset", offset, "error", err)
			j.ms, j.prepared = lastMS, &prepared{err: err}
			close(j.done)
		} else {
			lastMS = max(lastMS, h.Time.UnixMilli())
			j.id, j.ms = h.ID, lastMS
			if t := m.ticketOf(h.ID); t != nil {
				j.ticket, j.prepared = t, t.prepared
				close(j.done)
			} else {
				wg.Go(func() { m.prepareJob(j, record) })
			}
		}
		select {
		case jobs <- j:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (m *Machine) prepareJob(j *job, record []byte) {
	defer close(j.done)
	tx, err := m.codec.Decode(record)
	if err != nil {
		j.prepared = &prepared{tx: &store.Transaction{ID: j.id}, err: err}
		return
	}
	j.prepared = m.prepare(tx)
}

// finish applies a job and answers who waits for it.
func (m *Machine) finish(j *job) error {
	outs, refusal, err := m.apply(j.offset, j.ms, j.id, j.prepared)
	if err != nil {
		return fmt.Errorf("apply offset %d: %w", j.offset, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = j.offset
	close(m.moved)
	m.moved = make(chan struct{})
	if t := m.tickets[j.id]; t != nil && j.id != "" {
		delete(m.tickets, j.id)
		t.offset, t.outs, t.err = j.offset, outs, refusal
		close(t.done)
	}
	return nil
}

func (m *Machine) stop(err error) {
	if err == nil {
		err = context.Canceled
	}
	if r := m.active; r != nil {
		m.active = nil
		r.done <- fault.New(fault.Unavailable, "reindex stopped after %d resources: %w", r.count, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready.Store(false)
	m.stopped = fault.New(fault.Unavailable, "repository stopped: %w", err)
	for id, t := range m.tickets {
		delete(m.tickets, id)
		t.err = m.stopped
		close(t.done)
	}
	close(m.moved)
	m.moved = make(chan struct{})
}

func (m *Machine) ticketOf(id string) *ticket {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tickets[id]
}

// Commit implements store.Writer. The work on the content is done before the
// append, so a huge transaction holds nobody up while it is prepared. A zero
// Time is set to now; a Time ahead of this node's clock is set back to it.
func (m *Machine) Commit(ctx context.Context, tx *store.Transaction) (*store.Result, error) {
	if memory, ok, err := m.remembered(tx.ID); err != nil {
		return nil, err
	} else if ok {
		offset, outs, refused, err := m.recall(memory)
		return result(offset, outs, errors.Join(refused, err))
	}
	release, err := m.admit(ctx, tx)
	if err != nil {
		return nil, err
	}
	defer release()
	now := m.cfg.Clock.Now()
	if tx.Time.IsZero() || tx.Time.After(now) {
		tx.Time = now
	}
	tx.Time = tx.Time.UTC().Truncate(time.Millisecond)
	t, mine, err := m.submit(tx)
	if err != nil {
		return nil, err
	}
	if mine {
		if _, err := m.cfg.Log.Append(ctx, [][]byte{m.codec.Encode(tx)}); err != nil {
			m.withdraw(tx.ID, t, err)
			return nil, err
		}
	}
	select {
	case <-t.done:
		return result(t.offset, t.outs, t.err)
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "transaction %s is appended, its outcome is not known yet: %w", tx.ID, ctx.Err())
	}
}

const smallTransaction = 1 << 20 // bytes of resources; these never wait for huge ones

// admit waits until a large transaction fits into Config.Pending.
func (m *Machine) admit(ctx context.Context, tx *store.Transaction) (release func(), err error) {
	var size int64
	for i := range tx.Ops {
		size += int64(len(tx.Ops[i].Resource))
	}
	if size <= smallTransaction {
		return func() {}, nil
	}
	size = min(size, m.cfg.Pending)
	if err := m.pending.Acquire(ctx, size); err != nil {
		return nil, fault.New(fault.Busy, "too much is being written: %w", err)
	}
	return func() { m.pending.Release(size) }, nil
}

func result(offset int64, outs []store.Outcome, err error) (*store.Result, error) {
	if err != nil {
		return nil, err
	}
	return &store.Result{Offset: offset, Outcomes: outs}, nil
}

// submit prepares tx and books a ticket; mine is false if the same id is
// already on its way.
func (m *Machine) submit(tx *store.Transaction) (t *ticket, mine bool, err error) {
	if t := m.ticketOf(tx.ID); t != nil {
		return t, false, nil
	}
	p := m.prepare(tx)
	if p.err != nil {
		return nil, false, p.err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped != nil {
		return nil, false, m.stopped
	}
	if t := m.tickets[tx.ID]; t != nil {
		return t, false, nil
	}
	t = &ticket{prepared: p, done: make(chan struct{})}
	m.tickets[tx.ID] = t
	return t, true, nil
}

// withdraw takes back a ticket whose append failed. The record may still have
// reached the log; then it is applied without anyone waiting.
func (m *Machine) withdraw(id string, t *ticket, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tickets[id] == t {
		delete(m.tickets, id)
		t.err = err
		close(t.done)
	}
}

// await waits until at least offset min is applied.
func (m *Machine) await(ctx context.Context, min int64) error {
	for {
		m.mu.Lock()
		applied, moved, stopped := m.applied, m.moved, m.stopped
		m.mu.Unlock()
		if applied >= min || min == 0 { // 0 = any, also of a repository that is still empty
			return nil
		}
		if stopped != nil {
			return stopped
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "this node has applied offset %d, not yet %d: %w", applied, min, ctx.Err())
		}
	}
}
