package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// MonthConfig says how a county of different hospital systems is simulated: hall
// h has a system of kind h modulo five (soap, mllp, files, fhir, http), and
// settles through the old facade or, every second one, the national one.
type MonthConfig struct {
	Config
	MLLP   string  // host:port of the hub
	SQL    string  // address of the hub's ClickHouse interface
	Folder string  // watched by the hub's source of kind files
	HTTP   string  // name of the hub's source of kind http
	Source string  // name of the hub's source of kind ncms
	People int     // insured at the centre, by card NH100001 …
	Faults float64 // part of the messages that go wrong on the way: cut off, sent twice, planted errors
}

// Month is the report of a county's month.
type Month struct {
	Seed     uint64   `json:"seed"`
	Seconds  float64  `json:"seconds"`
	Halls    []*Hall  `json:"halls"`
	Balanced bool     `json:"balanced"`
	Problems []string `json:"problems"`
}

// Hall is what one hall sent, and what the hub and the centre hold of it.
type Hall struct {
	Code         string  `json:"code"`
	System       string  `json:"system"`
	Settles      string  `json:"settles"`
	Sent         int     `json:"sent"`         // messages, each counted once
	Acknowledged int     `json:"acknowledged"` // of them
	Repeated     int     `json:"repeated"`     // sent again on purpose or for want of an answer
	Refused      int     `json:"refused"`      // planted errors, all told so
	Visits       Both    `json:"visits"`
	Charges      Amounts `json:"charges"`  // yuan
	Settled      Counts  `json:"settled"`  // that stand
	Total        Amounts `json:"total"`    // of those, yuan
	Paid         Amounts `json:"paid"`     // by the scheme
	Reversed     int     `json:"reversed"` // by the hall: its cashier could not save the bill
	Mismatches   int     `json:"mismatches"`

	charges, total, paid yuan
}

// Both is a number at both ends.
type Both struct {
	Hall int `json:"hall"`
	Hub  int `json:"hub"`
}

// Counts is a number at all three ends.
type Counts struct {
	Hall   int `json:"hall"`
	Hub    int `json:"hub"`
	Centre int `json:"centre"`
}

// Amounts is an amount at the ends that have it.
type Amounts struct {
	Hall   string `json:"hall"`
	Hub    string `json:"hub"`
	Centre string `json:"centre,omitempty"`
}

// system is how one kind of hospital system tells of its visits.
type system interface {
	name() string
	// visit tells of one visit and returns when the hub has acknowledged all of it.
	visit(ctx context.Context, h int, v *visit, at time.Time) error
	// wrong sends a message with a planted error and reports whether the hub said
	// so.
	wrong(ctx context.Context, h int, v *visit) (bool, error)
	// close waits for what is on its way.
	close(ctx context.Context) error
}

// month is a run.
type month struct {
	cfg     MonthConfig
	county  *county
	client  *client
	http    *http.Client
	systems []system
	report  *Month
}

// RunMonth simulates a county's month through the hub's doors and settlements,
// then compares what the halls, the hub and the centre hold. The error is nil
// only if everything balances.
func RunMonth(ctx context.Context, cfg MonthConfig, progress func(done, total int)) (*Month, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c, err := newCounty(cfg.Seed)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	m := &month{cfg: cfg, county: c, client: newClient(cfg.Config), report: &Month{Seed: cfg.Seed, Problems: []string{}}}
	m.http = m.client.http
	defer m.client.close()
	m.systems = []system{&soapSystem{m}, &mllpSystem{month: m}, &fileSystem{month: m}, &fhirSystem{m}, &httpSystem{m}}
	for h := range cfg.Halls {
		m.report.Halls = append(m.report.Halls, &Hall{Code: hallCode(h), System: m.systems[h%len(m.systems)].name(), Settles: cashiers[h/len(m.systems)%len(cashiers)]})
	}
	err = m.run(ctx, progress)
	for _, s := range m.systems {
		if cerr := s.close(ctx); err == nil {
			err = cerr
		}
	}
	if err == nil {
		err = m.compare(ctx)
	}
	m.report.Seconds = time.Since(began).Seconds()
	m.report.Balanced = err == nil && len(m.report.Problems) == 0
	if err == nil && !m.report.Balanced {
		err = fmt.Errorf("%d 处不平；第一处：%s", len(m.report.Problems), m.report.Problems[0])
	}
	return m.report, err
}

// run gives each hall to one of a few workers: a hall's messages stay in order.
func (m *month) run(ctx context.Context, progress func(done, total int)) error {
	halls := make(chan int)
	errs := make(chan error, m.cfg.Halls)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(m.cfg.Parallel, m.cfg.Halls) {
		wg.Go(func() {
			for h := range halls {
				for d := range m.cfg.Days {
					if err := m.day(ctx, h, d); err != nil {
						errs <- fmt.Errorf("馆 %s：%w", hallCode(h), err)
						break
					}
					mu.Lock()
					if done++; progress != nil {
						progress(done, m.cfg.Halls*m.cfg.Days)
					}
					mu.Unlock()
				}
			}
		})
	}
	for h := range m.cfg.Halls {
		select {
		case halls <- h:
		case <-ctx.Done():
		}
	}
	close(halls)
	wg.Wait()
	close(errs)
	if err := ctx.Err(); err != nil {
		return err
	}
	return <-errs // nil when there is none
}

// day is one day of one hall: visits, settlements, the rows of the evening.
func (m *month) day(ctx context.Context, h, d int) error {
	hall, sys := m.report.Halls[h], m.systems[h%len(m.systems)]
	visits, patients := m.county.day(h, m.cfg.Start.In(m.county.zone).AddDate(0, 0, d), m.cfg.VisitsPerDay)
	r := m.county.source('z', h, d)
	desk := newCashier(m, h)
	for i, v := range visits {
		at, err := time.ParseInLocation(time.DateTime, v.VisitTime, m.county.zone)
		if err != nil {
			return err
		}
		if err := m.tell(ctx, hall, sys, h, v, at, r); err != nil {
			return err
		}
		if err := desk.visit(ctx, v, m.card(h, patients[i])); err != nil {
			return err
		}
	}
	return desk.evening(ctx)
}

// tell has a hall's system tell of a visit, and sometimes more than that.
func (m *month) tell(ctx context.Context, hall *Hall, sys system, h int, v *visit, at time.Time, r *rand.Rand) error {
	if r.Float64() < m.cfg.Faults {
		told, err := sys.wrong(ctx, h, v)
		if err != nil {
			return err
		}
		if !told {
			return fmt.Errorf("%s：预设的错误消息没有被指出", sys.name())
		}
		hall.Refused++
	}
	times := 1
	if r.Float64() < m.cfg.Faults { // sent twice
		times++
	}
	hall.Sent++
	for i := range times {
		if err := sys.visit(ctx, h, v, at); err != nil {
			return err
		}
		hall.Repeated += min(i, 1)
	}
	hall.Acknowledged++
	hall.Visits.Hall++
	hall.charges += total(v)
	return nil
}

// card is the number of a patient's card: some are not insured any more.
func (m *month) card(h, p int) string {
	return fmt.Sprintf("NH%06d", 100001+m.county.source('k', h, p).IntN(max(m.cfg.People, 1)))
}
