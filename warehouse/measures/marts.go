package measures

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/internal/clock"
)

// Engine is the warehouse as the marts need it. Exec runs one statement.
type Engine interface {
	Querier
	Exec(ctx context.Context, sql string) error
}

// boundary is the day from which the recent marts hold the visits; older months
// are frozen in the past marts and built anew only when something in them
// changes.
const boundary = "(toStartOfMonth(toDate(now(), 'Asia/Shanghai')) - INTERVAL 1 MONTH)"

func mart(fact string, s Source, part string) string {
	if s == Cube {
		fact += "_day"
	}
	return "qihuang._mart_" + fact + "_" + part
}

// martRows is the table expression of a mart: recent and past, each day once.
func martRows(fact string, s Source) string {
	return "(SELECT * FROM " + mart(fact, s, "recent") + " WHERE day >= " + boundary + " UNION ALL SELECT * FROM " + mart(fact, s, "past") + " WHERE day < " + boundary + ")"
}

// Marts keeps what large scopes are computed from: one row per visit and per
// prescription, and the states of all indicators' aggregates per hall and day.
//
// The recent marts are the targets of refreshable materialised views over FINAL,
// which the hub refreshes when something was written and ClickHouse every
// night. The past marts are partitioned by month.
type Marts struct {
	catalogue *Catalogue
	db        Engine
	clock     clock.Clock
	log       *slog.Logger
	pause     time.Duration // at least, between refreshes
}

// NewMarts makes a keeper of the marts. Run it in one process.
func NewMarts(c *Catalogue, db Engine, cl clock.Clock, log *slog.Logger) *Marts {
	return &Marts{catalogue: c, db: db, clock: cl, log: log, pause: 15 * time.Second}
}

// statement is DDL of a mart, whose comment tells which definition made it.
type statement struct{ table, sql string }

// ddl declares the marts of a fact, in order of their needs.
func (c *Catalogue) ddl(fact string) []statement {
	recent := "start >= toDateTime64(" + boundary + ", 3, 'Asia/Shanghai')"
	rows := func(where string) string {
		return c.facts[fact].sql(where, true, true) + " SELECT * FROM " + fact
	}
	const keys = " ORDER BY (org_code, day)"
	var out []statement
	for _, s := range []Source{Fact, Cube} {
		fill := func(where string) string { return rows(where) }
		if s == Cube {
			fill = func(string) string { return c.days(fact, mart(fact, Fact, "recent")) }
		}
		past, now, view := mart(fact, s, "past"), mart(fact, s, "recent"), mart(fact, s, "refresh")
		out = append(out,
			statement{past, "CREATE TABLE IF NOT EXISTS " + past + " ENGINE = MergeTree PARTITION BY toYYYYMM(day)" + keys + " COMMENT '%s' EMPTY AS " + fill("0")},
			statement{now, "CREATE TABLE IF NOT EXISTS " + now + " ENGINE = MergeTree" + keys + " COMMENT '%s' EMPTY AS " + fill("0")},
			statement{view, "CREATE MATERIALIZED VIEW IF NOT EXISTS " + view + " REFRESH EVERY 1 DAY OFFSET 3 HOUR TO " + now + " EMPTY AS SELECT * FROM (" + fill(recent) + ") WHERE 1 COMMENT '%s'"})
	}
	open := openMart(fact)
	return append(out, statement{open, "CREATE VIEW IF NOT EXISTS " + open + " AS SELECT * FROM " + martRows(fact, Fact) + " WHERE 1 COMMENT '%s'"})
}

// openMart is the view by which analysts read a mart of rows: its name lacks the
// underscore of what is closed to them, its org_code is what limits them.
func openMart(fact string) string { return "qihuang.mart_" + fact }

// days is the SELECT that turns rows of a fact into states per hall and day.
func (c *Catalogue) days(fact, from string) string {
	cols := append([]string{"org_code", "day", "countState() AS visits"}, c.cubes[fact].states...)
	return "SELECT " + strings.Join(cols, ", ") + " FROM " + from + " GROUP BY org_code, day"
}

// Prepare makes the marts. Those that an older definition made are dropped:
// they are only computed.
func (m *Marts) Prepare(ctx context.Context) error {
	have := map[string]string{}
	err := m.db.Query(ctx, "SELECT name, comment FROM system.tables WHERE database = 'qihuang' AND match(name, '^_?mart_')", nil, func(scan func(...any) error) error {
		var name, comment string
		err := scan(&name, &comment)
		have["qihuang."+name] = comment
		return err
	})
	if err != nil {
		return err
	}
	fresh := false
	for _, fact := range []string{"visit", "prescription"} {
		list := m.catalogue.ddl(fact)
		sum := sha256.New()
		for _, s := range list {
			sum.Write([]byte(s.sql))
		}
		tag := hex.EncodeToString(sum.Sum(nil)[:8])
		for i := len(list) - 1; i >= 0; i-- { // views before their targets
			if c, ok := have[list[i].table]; ok && c != tag {
				fresh = true
				if err := m.db.Exec(ctx, "DROP TABLE "+list[i].table+" SYNC"); err != nil {
					return err
				}
			}
		}
		for _, s := range list {
			if err := m.db.Exec(ctx, strings.Replace(s.sql, "COMMENT '%s'", "COMMENT '"+tag+"'", 1)); err != nil {
				return fmt.Errorf("make %s: %w", s.table, err)
			}
		}
	}
	if err := m.db.Exec(ctx, "CREATE TABLE IF NOT EXISTS qihuang._mart_state (id UInt8, seq UInt64, at DateTime64(3, 'UTC')) ENGINE = ReplacingMergeTree(at) ORDER BY id"); err != nil {
		return err
	}
	if fresh {
		return m.db.Exec(ctx, "TRUNCATE TABLE qihuang._mart_state")
	}
	return nil
}

// Refresh computes the recent marts anew.
func (m *Marts) Refresh(ctx context.Context) error {
	for _, s := range []Source{Fact, Cube} {
		for _, fact := range []string{"visit", "prescription"} {
			view := mart(fact, s, "refresh")
			for _, q := range []string{"SYSTEM REFRESH VIEW " + view, "SYSTEM WAIT VIEW " + view} {
				if err := m.db.Exec(ctx, q); err != nil {
					return fmt.Errorf("refresh %s: %w", view, err)
				}
			}
		}
	}
	return nil
}

// Month is a month of visits, its first day at midnight of Asia/Shanghai.
type Month struct{ time.Time }

func (m Month) partition() string { return m.Format("200601") }

// Build computes the past marts of one month, both facts side by side, and puts
// them in place of the old ones at once.
func (m *Marts) Build(ctx context.Context, month Month) error {
	where := fmt.Sprintf("start >= toDateTime64('%s 00:00:00', 3, 'Asia/Shanghai') AND start < toDateTime64('%s 00:00:00', 3, 'Asia/Shanghai')",
		month.Format(time.DateOnly), month.AddDate(0, 1, 0).Format(time.DateOnly))
	both, ctx := errgroup.WithContext(ctx)
	for _, fact := range []string{"visit", "prescription"} {
		both.Go(func() error {
			rows := m.catalogue.facts[fact].sql(where, true, true) + " SELECT * FROM " + fact + " SETTINGS max_bytes_before_external_group_by = 1000000000"
			if err := m.replace(ctx, mart(fact, Fact, "past"), month, rows); err != nil {
				return err
			}
			days := m.catalogue.days(fact, "(SELECT * FROM "+mart(fact, Fact, "past")+" WHERE toYYYYMM(day) = "+month.partition()+")")
			return m.replace(ctx, mart(fact, Cube, "past"), month, days)
		})
	}
	return both.Wait()
}

// replace fills a table beside and exchanges the partition. The table beside
// is kept: the embedded engine does not end a DROP … SYNC.
func (m *Marts) replace(ctx context.Context, table string, month Month, rows string) error {
	beside := strings.TrimSuffix(table, "past") + "build"
	for _, q := range []string{"CREATE TABLE IF NOT EXISTS " + beside + " AS " + table, "TRUNCATE TABLE " + beside, "INSERT INTO " + beside + " " + rows,
		"ALTER TABLE " + table + " REPLACE PARTITION " + month.partition() + " FROM " + beside, "TRUNCATE TABLE " + beside} {
		if err := m.db.Exec(ctx, q); err != nil {
			return fmt.Errorf("build %s of %s: %w", table, month.partition(), err)
		}
	}
	return nil
}

// Months returns the months before the recent ones that have finished visits.
func (m *Marts) Months(ctx context.Context) ([]Month, error) {
	return m.months(ctx, "SELECT DISTINCT toYYYYMM(toDate(start, 'Asia/Shanghai')) AS month FROM qihuang.encounter FINAL WHERE status = 'finished' AND toDate(start, 'Asia/Shanghai') < "+boundary+" ORDER BY month", nil)
}

func (m *Marts) months(ctx context.Context, sql string, params map[string]string) (list []Month, err error) {
	err = m.db.Query(ctx, sql, params, func(scan func(...any) error) error {
		var n *uint32
		if err := scan(&n); err != nil || n == nil {
			return err
		}
		list = append(list, Month{time.Date(int(*n/100), time.Month(*n%100), 1, 0, 0, 0, 0, Shanghai())})
		return nil
	})
	return list, err
}

// feeds are the tables behind the facts and the resources that fill them.
var feeds = []struct{ table, typ string }{{"charge", "ChargeItem"}, {"condition", "Condition"}, {"prescription_request", "MedicationRequest"}, {"treatment", "Procedure"}, {"finding", "Observation"}, {"record", "Composition"}}

// touched returns the past months whose visits changed after a change sequence.
func (m *Marts) touched(ctx context.Context, after uint64) ([]Month, error) {
	changed := func(typ string) string {
		return "(SELECT concat(type, '/', id) FROM qihuang.resource WHERE type = '" + typ + "' AND seq > {after:UInt64})"
	}
	ids := "SELECT id FROM qihuang.encounter WHERE _resource IN " + changed("Encounter")
	for _, f := range feeds {
		ids += " UNION ALL SELECT assumeNotNull(encounter_id) FROM qihuang." + f.table + " WHERE encounter_id IS NOT NULL AND _resource IN " + changed(f.typ)
	}
	ids += " UNION ALL SELECT assumeNotNull(encounter_id) FROM qihuang.prescription WHERE encounter_id IS NOT NULL AND id IN (SELECT assumeNotNull(prescription_id) FROM qihuang.prescription_item WHERE prescription_id IS NOT NULL AND _resource IN " + changed("Medication") + ")"
	// a version that left the month counts too: all versions of the encounter
	return m.months(ctx, "SELECT DISTINCT toYYYYMM(toDate(start, 'Asia/Shanghai')) AS month FROM qihuang.encounter WHERE start IS NOT NULL AND toDate(start, 'Asia/Shanghai') < "+boundary+" AND id IN ("+ids+") ORDER BY month",
		map[string]string{"after": fmt.Sprint(after)})
}

// Run keeps the marts up with what is written until ctx ends. high tells the
// newest change sequence in the tables. A round waits four times as long as the
// last one took, so that the marts take a fifth of the engine at most; or less,
// where what was written would else be older than [freshness].
func (m *Marts) Run(ctx context.Context, high func() uint64) error {
	prepared := false
	var seen uint64
	for wait := time.Second; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		begun := m.clock.Now()
		if !prepared {
			err := m.Prepare(ctx)
			if err == nil {
				err = m.db.Query(ctx, "SELECT max(seq) FROM qihuang._mart_state", nil, func(scan func(...any) error) error { return scan(&seen) })
			}
			if err != nil {
				m.told(ctx, "prepare marts", err)
				wait = 5 * time.Second
				continue
			}
			prepared = true
		}
		if now := high(); now > seen {
			if err := m.round(ctx, seen, now); err != nil {
				m.told(ctx, "refresh marts", err)
			} else {
				seen = now
			}
		}
		wait = m.rest(m.clock.Now().Sub(begun))
	}
}

// freshness is how old the marts may be: what happens is in the numbers of
// supervision within five minutes, waiting for a round and the round together.
const freshness = 5 * time.Minute

// rest is how long to wait after a round.
func (m *Marts) rest(took time.Duration) time.Duration {
	return max(m.pause, min(4*took, freshness-took))
}

func (m *Marts) told(ctx context.Context, act string, err error) {
	if ctx.Err() == nil {
		m.log.WarnContext(ctx, "marts", "act", act, "error", err)
	}
}

// round brings the marts from one change sequence to another.
func (m *Marts) round(ctx context.Context, seen, now uint64) error {
	var months []Month
	var err error
	if seen == 0 {
		months, err = m.Months(ctx)
	} else {
		months, err = m.touched(ctx, seen)
	}
	if err != nil {
		return err
	}
	for _, month := range months {
		if err := m.Build(ctx, month); err != nil {
			return err
		}
	}
	if err := m.Refresh(ctx); err != nil {
		return err
	}
	return m.db.Exec(ctx, fmt.Sprintf("INSERT INTO qihuang._mart_state VALUES (1, %d, now64(3))", now))
}
