package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Report is what became of a run.
type Report struct {
	Seed         uint64  `json:"seed"`
	Start        string  `json:"start"`
	Days         int     `json:"days"`
	Sent         int64   `json:"sent"` // messages: pushes, dictionary entries, documents
	Acknowledged int64   `json:"acknowledged"`
	Retried      int64   `json:"retried"`
	Seconds      float64 `json:"seconds"`
	Truth        *Totals `json:"truth"`
}

// Plan counts what Run would send, without sending.
func Plan(cfg Config) (*Totals, error) {
	c, err := newCounty(cfg.Seed)
	if err != nil {
		return nil, err
	}
	c.cfg = cfg
	t := newTotals(cfg.Halls)
	t.Planted = cfg.Planted()
	for h := range cfg.Halls {
		for d := range cfg.Days {
			visits, patients := c.day(h, cfg.Start.In(c.zone).AddDate(0, 0, d), cfg.VisitsPerDay)
			for i, v := range visits {
				t.add(c.clinic, v, h, patients[i])
			}
		}
	}
	return t, nil
}

// Run simulates cfg through the hub's doors. progress is called after each visit
// and may be nil. The error is nil only if everything was acknowledged.
func Run(ctx context.Context, cfg Config, progress func(done, total int)) (*Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	truth, err := Plan(cfg)
	if err != nil {
		return nil, err
	}
	c, err := newCounty(cfg.Seed)
	if err != nil {
		return nil, err
	}
	c.cfg = cfg
	r := &runner{cfg: cfg, county: c, client: newClient(cfg), total: truth.Visits, progress: progress}
	defer r.client.close()
	if cfg.Rate > 0 {
		t := time.NewTicker(time.Duration(float64(time.Second) / cfg.Rate))
		defer t.Stop()
		r.tick = t.C
	}
	began := time.Now()
	err = r.run(ctx)
	return &Report{Seed: cfg.Seed, Start: cfg.Start.In(c.zone).Format(time.DateOnly), Days: cfg.Days, Sent: r.client.sent.Load(),
		Acknowledged: r.acked, Retried: r.client.retried.Load(), Seconds: time.Since(began).Seconds(), Truth: truth}, err
}

type runner struct {
	cfg      Config
	county   *county
	client   *client
	total    int
	progress func(done, total int)
	tick     <-chan time.Time

	mu     sync.Mutex
	done   int
	acked  int64
	failed int64
	first  error
}

// run gives each hall to one of a few senders: a hall's messages stay in order.
func (r *runner) run(ctx context.Context) error {
	halls := make(chan int)
	var wg sync.WaitGroup
	for range min(r.cfg.Parallel, r.cfg.Halls) {
		wg.Go(func() {
			for h := range halls {
				r.hall(ctx, h)
			}
		})
	}
	for h := range r.cfg.Halls {
		select {
		case halls <- h:
		case <-ctx.Done():
		}
	}
	close(halls)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.failed > 0 {
		return fmt.Errorf("%d 条消息没有得到确认；第一条：%w", r.failed, r.first)
	}
	return nil
}

func (r *runner) hall(ctx context.Context, h int) {
	r.note(r.dictionary(ctx, h), len(r.county.clinic.Herbs), false)
	for d := range r.cfg.Days {
		visits, _ := r.county.day(h, r.cfg.Start.In(r.county.zone).AddDate(0, 0, d), r.cfg.VisitsPerDay)
		for _, v := range visits {
			if r.tick != nil {
				select {
				case <-r.tick:
				case <-ctx.Done():
				}
			}
			if ctx.Err() != nil {
				return
			}
			r.note(r.visit(ctx, h, v), 2, true)
		}
	}
}

func (r *runner) dictionary(ctx context.Context, h int) error {
	at := r.cfg.Start.In(r.county.zone)
	for _, herb := range r.county.clinic.Herbs {
		code, _ := r.county.drug(h, herb.Name)
		if err := r.client.push02(ctx, h, code, herb.Name, at); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) visit(ctx context.Context, h int, v *visit) error {
	at, err := time.ParseInLocation(time.DateTime, v.VisitTime, r.county.zone)
	if err != nil {
		return err
	}
	return errors.Join(r.client.push01(ctx, v, h, at), r.client.document(ctx, v))
}

// note counts n messages as acknowledged, or as failed.
func (r *runner) note(err error, n int, visit bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed++
		if r.first == nil {
			r.first = err
		}
	} else {
		r.acked += int64(n)
	}
	if visit {
		r.done++
		if r.progress != nil {
			r.progress(r.done, r.total)
		}
	}
}

// trickleNumbers is where visit numbers of a trickle begin: beyond every day's.
const trickleNumbers = 10_000

// Trickle keeps visits coming, perMinute over all halls, dated now, until ctx
// ends. What the hub does not take is dropped: the next one comes soon.
func Trickle(ctx context.Context, cfg Config, perMinute float64, now func() time.Time) error {
	if err := cfg.Validate(); err != nil || perMinute <= 0 {
		return errors.Join(err, ctx.Err())
	}
	c, err := newCounty(cfg.Seed)
	if err != nil {
		return err
	}
	cl := newClient(cfg)
	defer cl.close()
	t := time.NewTicker(time.Duration(float64(time.Minute) / perMinute))
	defer t.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		at := now().In(c.zone)
		h := n % cfg.Halls
		r := c.source('t', h, int(at.Unix()))
		number := trickleNumbers + at.Hour()*3600 + at.Minute()*60 + at.Second()
		v := c.visit(r, h, r.IntN(cfg.VisitsPerDay*6), number, at)
		if cl.push01(ctx, v, h, at) == nil {
			_ = cl.document(ctx, v)
		}
	}
}
