package centre

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config of a simulated centre.
type Config struct {
	Seed    uint64
	People  int        // how many are insured
	Share   ncms.Money // part of what counts that is paid
	Ceiling ncms.Money // a person's year
	Zone    *time.Location
	// Careless makes the centre settle a visit again under another invoice, and
	// the same invoice again, as centres without checks do.
	Careless bool
	// WrongMoney is the part of list entries whose amount is one cent off.
	WrongMoney float64
}

// Default pays half of what counts, up to 5,000 yuan a year, for 10,000 people.
func Default() Config {
	return Config{Seed: 1, People: 10_000, Share: decimal.New(5, -1), Ceiling: decimal.New(5000, 0), Zone: time.FixedZone("CST", 8*3600)}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	one := decimal.New(1, 0)
	if c.People < 1 || c.Share.IsNegative() || c.Share.GreaterThan(one) || c.Ceiling.IsNegative() || c.Zone == nil || c.WrongMoney < 0 || c.WrongMoney > 1 {
		return fault.New(fault.Invalid, "模拟中心：people 大于 0，share 与 wrong-money 在 0 到 1 之间，ceiling 不为负")
	}
	return nil
}

// Centre keeps the books. It implements [ncms.Scheme], [ncms.Diagnoser] and
// [ncms.Catalogues]; safe for concurrent use.
type Centre struct {
	cfg   Config
	clock clock.Clock

	mu       sync.Mutex
	byCard   map[string]ncms.Person
	paused   map[string]bool // by card
	visits   map[string]*visit
	paid     []*payment
	byID     map[string]*payment
	invoices map[string]*payment // hospital + invoice → the one that stands
	used     map[string]ncms.Money
	count    map[string]int
	serial   int
	mappings map[string]ncms.Approval // hospital + kind + code
}

type visit struct {
	ncms.Registration
	items  []ncms.Item
	closed bool
}

type payment struct {
	ncms.Entry
	hospital  string
	person    string
	year      string
	inpatient bool
	sums      ncms.Sums
}

// New returns a centre with empty books. cfg must be valid.
func New(cfg Config, c clock.Clock) *Centre {
	out := &Centre{cfg: cfg, clock: c, byCard: map[string]ncms.Person{}, paused: map[string]bool{}, visits: map[string]*visit{}, byID: map[string]*payment{},
		invoices: map[string]*payment{}, used: map[string]ncms.Money{}, count: map[string]int{}, mappings: map[string]ncms.Approval{}}
	for n := range cfg.People {
		p, paused := person(cfg.Seed, n)
		out.byCard[p.Card], out.byCard[p.NationalID] = p, p
		if paused {
			out.paused[p.Card] = true
		}
	}
	return out
}

func (c *Centre) now() time.Time { return c.clock.Now().In(c.cfg.Zone) }

// Eligible implements [ncms.Enrolment].
func (c *Centre) Eligible(_ context.Context, q ncms.Card) ([]ncms.Person, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.byCard[q.Number]
	if !ok || c.paused[p.Card] {
		return nil, ncms.Refuse("该人员未参合或已停保")
	}
	return []ncms.Person{p}, nil
}

// number makes a new number with its letter and day.
func (c *Centre) number(letter string) string {
	c.serial++
	return fmt.Sprintf("%s%s%06d", letter, c.now().Format("20060102"), c.serial)
}

// Register implements [ncms.Registry].
func (c *Centre) Register(_ context.Context, r ncms.Registration) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.byCard[r.Card]
	if !ok || c.paused[p.Card] {
		return "", ncms.Refuse("该人员未参合或已停保")
	}
	if r.Person == "" {
		r.Person = p.Number
	}
	if r.Person != p.Number {
		return "", ncms.Refuse("卡号与个人编号不符")
	}
	n := c.number("D")
	c.visits[n] = &visit{Registration: r}
	return n, nil
}

// open returns a registration that is not cancelled.
func (c *Centre) open(number string) (*visit, error) {
	v := c.visits[number]
	if v == nil || v.closed {
		return nil, ncms.Refuse("没有登记流水号 " + number)
	}
	return v, nil
}

// Cancel implements [ncms.Registry].
func (c *Centre) Cancel(_ context.Context, v ncms.Visit) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.open(v.Number)
	if err != nil {
		return err
	}
	if c.standing(v.Number) != nil {
		return ncms.Refuse("已结算，不能取消登记")
	}
	r.closed = true
	return nil
}

// Diagnose implements [ncms.Diagnoser].
func (c *Centre) Diagnose(_ context.Context, v ncms.Visit, list []ncms.Diagnosis) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.open(v.Number)
	if err != nil {
		return err
	}
	r.Diagnoses = list
	return nil
}

// Upload implements [ncms.Registry].
func (c *Centre) Upload(_ context.Context, d ncms.Details) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.open(d.Number)
	if err != nil {
		return err
	}
	if c.standing(d.Number) != nil {
		return ncms.Refuse("已结算，不能再上传明细")
	}
	v.items = append(v.items, d.Items...)
	return nil
}

// Retract implements [ncms.Registry].
func (c *Centre) Retract(_ context.Context, d ncms.Visit) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.open(d.Number)
	if err != nil {
		return err
	}
	if c.standing(d.Number) != nil {
		return ncms.Refuse("已结算，不能撤销明细")
	}
	v.items = nil
	return nil
}

// standing returns a visit's settlement that stands, nil if none.
func (c *Centre) standing(number string) *payment {
	for i := len(c.paid) - 1; i >= 0; i-- {
		if p := c.paid[i]; p.Visit == number && !p.Void {
			return p
		}
	}
	return nil
}
