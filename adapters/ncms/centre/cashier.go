package centre

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// compute applies the rules to a visit's bill.
func (c *Centre) compute(v *visit) ncms.Sums {
	var total, counts ncms.Money
	for _, i := range v.items {
		total = total.Add(i.Amount)
		if i.SchemeCode != "" {
			counts = counts.Add(i.Amount)
		}
	}
	key := v.Person + v.Year
	paid := decimal.Min(counts.Mul(c.cfg.Share).Round(2), c.cfg.Ceiling.Sub(c.used[key]))
	own := total.Sub(paid)
	f := ncms.FormatMoney
	return ncms.Sums{ncms.SumTotal: f(total), ncms.SumScheme: f(paid), ncms.SumPatient: f(own), "sum04": f(counts), "sum06": f(c.used[key].Add(paid)),
		"sum08": strconv.Itoa(c.count[key] + 1), "sum19": f(total), "sum20": f(paid), "sum32": f(own)}
}

// billed returns a visit with items whose sum the hall agrees with.
func (c *Centre) billed(b ncms.Bill) (*visit, ncms.Sums, error) {
	v, err := c.open(b.Number)
	if err != nil {
		return nil, nil, err
	}
	if len(v.items) == 0 {
		return nil, nil, ncms.Refuse("没有上传费用明细")
	}
	sums := c.compute(v)
	if total, _ := sums.Money(ncms.SumTotal); !b.Total.IsZero() && !b.Total.Equal(total) {
		return nil, nil, ncms.Refuse(fmt.Sprintf("发票金额与明细合计 %s 不符", ncms.FormatMoney(total)))
	}
	return v, sums, nil
}

// Try implements [ncms.Cashier].
func (c *Centre) Try(_ context.Context, b ncms.Bill) (*ncms.Trial, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, sums, err := c.billed(b)
	if err != nil {
		return nil, err
	}
	return &ncms.Trial{Sums: sums}, nil
}

// Settle implements [ncms.Cashier].
func (c *Centre) Settle(_ context.Context, b ncms.Bill) (*ncms.Settlement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := b.Hospital + "|" + b.Invoice
	if c.invoices[key] != nil && !c.cfg.Careless {
		return nil, ncms.Refuse("已存在发票号码相同的结算记录")
	}
	v, sums, err := c.billed(b)
	if err != nil {
		return nil, err
	}
	if c.standing(b.Number) != nil && !c.cfg.Careless {
		return nil, ncms.Refuse("该登记已结算")
	}
	total, _ := sums.Money(ncms.SumTotal) // computed above
	paid, _ := sums.Money(ncms.SumScheme)
	p := &payment{Entry: ncms.Entry{ID: c.number("B"), Invoice: b.Invoice, Visit: b.Number, Card: v.Card, Total: total, Paid: paid, Time: c.now().Format(time.DateTime)},
		hospital: b.Hospital, person: v.Person, year: v.Year, inpatient: v.Inpatient, sums: sums}
	c.paid = append(c.paid, p)
	c.byID[p.ID], c.invoices[key] = p, p
	c.used[v.Person+v.Year] = c.used[v.Person+v.Year].Add(paid)
	c.count[v.Person+v.Year]++
	return &ncms.Settlement{ID: p.ID, Sums: sums}, nil
}

// Reverse implements [ncms.Cashier].
func (c *Centre) Reverse(_ context.Context, r ncms.Reversal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.byID[r.ID]
	switch {
	case p == nil:
		return ncms.Refuse("没有这笔报销")
	case p.Void:
		return ncms.Refuse("该报销已作废")
	case r.Invoice != "" && r.Invoice != p.Invoice:
		return ncms.Refuse("发票号与报销编码不符")
	}
	p.Void = true
	if key := p.hospital + "|" + p.Invoice; c.invoices[key] == p {
		delete(c.invoices, key)
	}
	c.used[p.person+p.year] = c.used[p.person+p.year].Sub(p.Paid)
	c.count[p.person+p.year]--
	return nil
}

// Day implements [ncms.Ledger].
func (c *Centre) Day(_ context.Context, q ncms.Days) ([]ncms.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []ncms.Entry{}
	for _, p := range c.paid {
		if day := p.Time[:10]; p.hospital == q.Hospital && p.inpatient == q.Inpatient && day >= q.From && day <= q.To {
			out = append(out, c.listed(p.Entry))
		}
	}
	return out, nil
}

// listed puts the planted errors into an entry: the same one every time.
func (c *Centre) listed(e ncms.Entry) ncms.Entry {
	if c.cfg.WrongMoney > 0 && chance(c.cfg.Seed, "money"+e.ID) < c.cfg.WrongMoney {
		e.Paid = e.Paid.Add(decimal.New(1, -2))
	}
	return e
}

// chance is a number from 0 to 1 that depends on its arguments only.
func chance(seed uint64, what string) float64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%s", seed, what)
	x := h.Sum64() // FNV's high bits are weak: mix
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// Books are the centre's totals.
type Books struct {
	Visits   int    `json:"visits"`
	Settled  int    `json:"settled"`  // that stand
	Reversed int    `json:"reversed"` // that do not
	Total    string `json:"total"`    // of those that stand, yuan
	Paid     string `json:"paid"`
}

// Books adds the settlements up.
func (c *Centre) Books() Books {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := Books{Visits: len(c.visits)}
	var total, paid ncms.Money
	for _, p := range c.paid {
		if p.Void {
			b.Reversed++
			continue
		}
		b.Settled++
		total, paid = total.Add(p.Total), paid.Add(p.Paid)
	}
	b.Total, b.Paid = ncms.FormatMoney(total), ncms.FormatMoney(paid)
	return b
}

// Entries returns every settlement, reversed ones too.
func (c *Centre) Entries() []ncms.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]ncms.Entry, len(c.paid))
	for i, p := range c.paid {
		out[i] = p.Entry
	}
	return out
}
