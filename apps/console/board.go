package console

import (
	"context"
	"sync"
	"time"
)

// board is the refreshed part of the first page.
type board struct {
	Stats
	facts
}

// facts are counted in the warehouse.
type facts struct{ Rows, Visits, Halls, Patients, Resources int64 }

// factsSQL counts over whole tables: quick for a county, seconds for a province
// of ten years.
const factsSQL = `SELECT toInt64((SELECT sum(total_rows) FROM system.tables WHERE database = 'qihuang')),
toInt64(countIf(status = 'finished')), toInt64(uniqExact(org_code)), toInt64((SELECT count() FROM qihuang.patient FINAL)), toInt64((SELECT uniq(type, id) FROM qihuang.resource)) FROM qihuang.encounter FINAL`

// cached are the facts that all open pages share. They are counted again when
// they are older than thirty times what counting took, two seconds at least: so
// however large the tables grow, pages take three percent of the engine.
type cached struct {
	mu    sync.Mutex
	facts facts
	until time.Time
}

func (c *Console) board(ctx context.Context) board {
	b := board{Stats: c.Hub.Stats(ctx)}
	c.facts.mu.Lock()
	defer c.facts.mu.Unlock()
	begin := time.Now()
	if begin.After(c.facts.until) {
		var f facts
		err := c.SQL.Query(ctx, factsSQL, nil, func(scan func(...any) error) error {
			return scan(&f.Rows, &f.Visits, &f.Halls, &f.Patients, &f.Resources)
		})
		if err != nil {
			c.Log.WarnContext(ctx, "count warehouse rows", "error", err)
		} else {
			c.facts.facts = f
		}
		c.facts.until = time.Now().Add(max(2*time.Second, 30*time.Since(begin)))
	}
	b.facts = c.facts.facts
	return b
}
