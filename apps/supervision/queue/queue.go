// Package queue computes in the background what takes longer than a page may:
// a few things at a time, the rest in turn, with progress and a way to cancel.
// Whoever asks for the same thing gets the same job, and its result as long as
// it is kept.
package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config bounds a queue.
type Config struct {
	Running int           // jobs at a time
	Waiting int           // jobs that wait; more are refused
	Limit   time.Duration // of one job
	Keep    time.Duration // how long a result is kept
}

// Default suits a hub whose warehouse also serves dashboards: two heavy questions
// at a time, each of up to ten minutes.
func Default() Config {
	return Config{Running: 2, Waiting: 20, Limit: 10 * time.Minute, Keep: time.Minute}
}

// Queue runs jobs whose results are of type T; it is safe for concurrent use.
type Queue[T any] struct {
	cfg Config

	mu      sync.Mutex
	jobs    map[string]*Job[T]
	waiting []*Job[T]
	running int
}

// New makes an empty queue.
func New[T any](cfg Config) *Queue[T] { return &Queue[T]{cfg: cfg, jobs: map[string]*Job[T]{}} }

// Job is one computation.
type Job[T any] struct {
	queue  *Queue[T]
	key    string
	run    func(context.Context) (T, error)
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	result T
	err    error
}

// Do returns the job of a key, and begins it where there is none or where the
// last one failed. run sees no end of the asker's context, but its values.
// fault.Busy where too many wait already.
func (q *Queue[T]) Do(ctx context.Context, key string, run func(context.Context) (T, error)) (*Job[T], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j := q.jobs[key]; j != nil {
		return j, nil
	}
	if q.running >= q.cfg.Running && len(q.waiting) >= q.cfg.Waiting {
		return nil, fault.New(fault.Busy, "排队的分析已有 %d 个，请过几分钟再试", len(q.waiting))
	}
	j := &Job[T]{queue: q, key: key, run: run, done: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
	q.jobs[key] = j
	if q.running < q.cfg.Running {
		q.begin(j)
	} else {
		q.waiting = append(q.waiting, j)
	}
	return j, nil
}

// Find returns the job of a key, nil where there is none.
func (q *Queue[T]) Find(key string) *Job[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.jobs[key]
}

// begin runs j; the caller holds the lock.
func (q *Queue[T]) begin(j *Job[T]) {
	q.running++
	go func() {
		ctx, cancel := context.WithTimeout(j.ctx, q.cfg.Limit)
		result, err := j.safely(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
			err = fault.New(fault.TooCostly, "算了 %.0f 分钟还没有算完，请缩小时间、地区或分组", q.cfg.Limit.Minutes())
		}
		cancel()
		q.end(j, result, err)
	}()
}

// safely runs j; a panic is its error, and no other job's.
func (j *Job[T]) safely(ctx context.Context) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return j.run(ctx)
}

// end keeps the result and begins the next job.
func (q *Queue[T]) end(j *Job[T], result T, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	if j.ctx.Err() != nil {
		err = canceled()
	}
	j.result, j.err = result, err
	j.finish()
	if len(q.waiting) > 0 {
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.begin(next)
	}
}

func canceled() error { return fault.New(fault.Conflict, "已取消。需要时请重新计算") }

// finish tells those who wait, and forgets the job when its time is up; the
// caller holds the lock.
func (j *Job[T]) finish() {
	close(j.done)
	if j.cancel(); j.err != nil {
		j.forget() // the next asker tries anew
		return
	}
	time.AfterFunc(j.queue.cfg.Keep, func() {
		j.queue.mu.Lock()
		defer j.queue.mu.Unlock()
		j.forget()
	})
}

// forget takes j out of what is known; the caller holds the lock.
func (j *Job[T]) forget() {
	if j.queue.jobs[j.key] == j {
		delete(j.queue.jobs, j.key)
	}
}

// Wait waits for the result until it is there or patience ends, and reports
// whether it is.
func (j *Job[T]) Wait(ctx context.Context, patience time.Duration) bool {
	select {
	case <-j.done:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-j.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Result is that of a job that has ended.
func (j *Job[T]) Result() (T, error) {
	<-j.done
	return j.result, j.err
}

// Place is how many jobs are before j, 0 = it runs or has ended.
func (j *Job[T]) Place() int {
	j.queue.mu.Lock()
	defer j.queue.mu.Unlock()
	return slices.Index(j.queue.waiting, j) + 1
}

// Cancel ends j, whether it runs or waits.
func (j *Job[T]) Cancel() {
	q := j.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-j.done:
		return
	default:
	}
	j.cancel()
	j.forget()
	if i := slices.Index(q.waiting, j); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		j.err = canceled()
		j.finish()
	}
}
