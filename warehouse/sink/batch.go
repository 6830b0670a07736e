package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// rows are the values of one insert, by table.
type rows struct {
	table *table
	list  [][]any
	gone  [][]any           // tombstones of lines that resources have no longer
	again map[string]extent // the resources that may have had rows before
}

// extent is what a batch has of one resource in one table.
type extent struct {
	version    uint64 // newest in the batch
	lines, all uint32 // of that version; most of any version
}

// batch is what one round writes.
type batch struct {
	items []arrival
	span  span   // of the topic; unused where the rows come from elsewhere
	token string // names the span; "" = none, rows are their own keys
	bytes int

	shape *shape          // the rows were made for; nil = not made yet
	again map[string]bool // resources whose first version is not all there is
	rows  map[*table]*rows
	dead  []refusal
}

// refusal is a row that a view could not make, or a record that is no change.
type refusal struct {
	arrival
	view, reason string
}

func (b *batch) of(t *table) *rows {
	r := b.rows[t]
	if r == nil {
		r = &rows{table: t, again: map[string]extent{}}
		b.rows[t] = r
	}
	return r
}

// make projects the changes of a batch to rows. It asks the warehouse nothing,
// so it is done while the batch before is written.
func (s *Sink) make(b *batch) {
	sh := s.shape.Load()
	b.begin(sh)
	land := b.of(s.landing)
	land.list = make([][]any, 0, len(b.items))
	for _, a := range b.items {
		c := a.change
		if c == nil {
			b.dead = append(b.dead, refusal{a, "", "不是变更记录"})
			continue
		}
		deleted := uint8(0)
		if c.Resource == nil {
			deleted = 1
		}
		land.list = append(land.list, []any{c.Type, c.ID, uint64(c.Version), deleted, c.LastUpdated, uint64(c.Seq), string(c.Resource)})
		b.project(sh, s.log, a, nil)
	}
}

// begin empties a batch of rows and notes which of its resources may have had
// rows before: what of them is gone has to be asked later.
func (b *batch) begin(sh *shape) {
	b.shape, b.again, b.rows, b.dead = sh, map[string]bool{}, map[*table]*rows{}, nil
	for _, a := range b.items {
		if c := a.change; c != nil && (c.Version > 1 || c.Resource == nil) && len(sh.byType[c.Type]) > 0 {
			b.again[c.Type+"/"+c.ID] = true
		}
	}
}

// beside is how many inserts of one batch run at once: the client fills the
// columns of one while the server writes another.
const beside = 2

// store writes a batch: landing table and view tables, rollups, refused rows,
// in that order. It may be called again with the same batch after a failure.
func (s *Sink) store(ctx context.Context, b *batch) error {
	s.write.Lock()
	defer s.write.Unlock()
	if b.shape != s.shape.Load() { // not made yet, or a view came meanwhile
		s.make(b)
	}
	for _, r := range b.rows {
		if err := s.trim(ctx, r); err != nil {
			return err
		}
	}
	before, err := s.affected(ctx, b)
	if err != nil {
		return err
	}
	for _, a := range b.items {
		if a.change != nil {
			s.high = max(s.high, uint64(a.change.Seq))
		}
	}
	land := b.of(s.landing)
	written := int64(0)
	inserts, ictx := errgroup.WithContext(ctx)
	inserts.SetLimit(beside)
	for _, t := range slices.Concat([]*table{s.landing}, b.shape.tables) {
		if r := b.rows[t]; r != nil {
			written += int64(len(r.list) + len(r.gone))
			inserts.Go(func() error { return s.insert(ictx, r, b.token) })
		}
	}
	if err := inserts.Wait(); err != nil {
		return err
	}
	if err := s.step("rollup"); err != nil {
		return err
	}
	if err := s.rollup(ctx, b, before); err != nil {
		return err
	}
	if err := s.bury(ctx, b); err != nil {
		return err
	}
	s.note(func(st *Stats) {
		st.Changes += int64(len(land.list))
		st.Rows += written
		st.Skipped += int64(len(b.dead))
		st.High = s.high
		if n := len(land.list); n > 0 {
			st.Lag = time.Since(land.list[n-1][4].(time.Time))
		}
	})
	return nil
}

// step lets a test end the batch before a step, as a crash would.
func (s *Sink) step(name string) error {
	if s.crash == nil {
		return nil
	}
	return s.crash(name)
}

// project appends the rows of one version to the tables of its type, or to one
// of them. A view that cannot take the resource is skipped with its old rows
// removed, and the refusal kept; the other views and the landing table have it.
func (b *batch) project(sh *shape, log *slog.Logger, a arrival, only *table) {
	c := a.change
	feeds := sh.byType[c.Type]
	if len(feeds) == 0 {
		return
	}
	var root fhir.Node
	if c.Resource != nil {
		tree, err := fhir.Parse(c.Resource)
		if err != nil {
			log.Error("resource on the changes topic does not parse", "type", c.Type, "id", c.ID, "version", c.Version)
			b.dead = append(b.dead, refusal{a, "", "资源不是 JSON"})
			return
		}
		root = tree.Root()
	}
	key := c.Type + "/" + c.ID
	done := map[*table]bool{}
	for i, f := range feeds {
		if done[f.table] || only != nil && f.table != only {
			continue
		}
		done[f.table] = true
		r, line := b.of(f.table), uint32(0)
		for _, g := range feeds[i:] { // two views of one type may fill one table: their lines follow each other
			if g.table != f.table {
				continue
			}
			if err := g.append(r, root, key, uint64(c.Version), &line); err != nil {
				log.Warn("view does not take a resource", "view", g.view.Name, "type", c.Type, "id", c.ID, "version", c.Version, "error", err)
				b.dead = append(b.dead, refusal{a, g.view.Name, err.Error()})
			}
		}
		if b.again[key] {
			r.again[key] = r.again[key].with(uint64(c.Version), line)
		}
	}
}

// with is the extent after another version, which need not be a newer one.
func (e extent) with(version uint64, lines uint32) extent {
	if version >= e.version {
		e.version, e.lines = version, lines
	}
	e.all = max(e.all, lines)
	return e
}

// append adds the rows of one resource, numbered from *line. On error none of
// this view's rows stay.
func (f *feed) append(r *rows, root fhir.Node, key string, version uint64, line *uint32) error {
	if !root.Exists() {
		return nil
	}
	start, first := len(r.list), *line
	err := f.view.Rows(root, func(cells []views.Cell) error {
		row := make([]any, 0, len(cells)+len(keys))
		for i := range cells {
			v, err := f.cast[i](&cells[i])
			if err != nil {
				return fmt.Errorf("column %s: %w", f.table.columns[i].name, err)
			}
			row = append(row, v)
		}
		r.list = append(r.list, append(row, key, *line, version, uint8(0)))
		*line++
		return nil
	})
	if err != nil {
		r.list, *line = r.list[:start], first
	}
	return err
}

// tombstone is a row that removes a line.
func (t *table) tombstone(key string, line uint32, version uint64) []any {
	row := make([]any, len(t.columns), len(t.columns)+len(keys))
	for i, c := range t.columns {
		if _, array := cut(c.typ, "Array("); array {
			row[i] = []string{}
		}
	}
	return append(row, key, line, version, uint8(1))
}

// trim makes the tombstones of a table: the lines that resources had, in the
// batch or before it, and have no longer in the newest version.
func (s *Sink) trim(ctx context.Context, r *rows) error {
	r.gone = nil
	for part := range parts(slices.Sorted(maps.Keys(r.again))) {
		res, err := s.conn.Query(ctx, "SELECT _resource, max(_line) + 1 FROM "+r.table.path()+" WHERE _resource IN (?) GROUP BY _resource", part)
		if err != nil {
			return fmt.Errorf("look up rows of %s: %w", r.table.name, err)
		}
		for res.Next() {
			var key string
			var n uint64
			if err := res.Scan(&key, &n); err != nil {
				return errors.Join(err, res.Close())
			}
			e := r.again[key]
			e.all = max(e.all, uint32(n))
			r.again[key] = e
		}
		if err := errors.Join(res.Err(), res.Close()); err != nil {
			return fmt.Errorf("look up rows of %s: %w", r.table.name, err)
		}
		for _, key := range part {
			e := r.again[key]
			for l := e.lines; l < e.all; l++ {
				r.gone = append(r.gone, r.table.tombstone(key, l, e.version))
			}
		}
	}
	return nil
}

// insert writes rows in one block, which ClickHouse takes whole or not at all.
// With a token, a block that the table has already is not written again.
func (s *Sink) insert(ctx context.Context, r *rows, token string) error {
	if len(r.list)+len(r.gone) == 0 {
		return nil
	}
	if err := s.step(r.table.name); err != nil {
		return err
	}
	if token != "" {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token + "/" + r.table.name}))
	}
	out, err := s.conn.PrepareBatch(ctx, r.table.insert())
	if err != nil {
		return fmt.Errorf("insert into %s: %w", r.table.name, err)
	}
	for _, list := range [][][]any{r.list, r.gone} {
		for _, row := range list {
			if err := out.Append(row...); err != nil {
				_ = out.Abort()
				return fmt.Errorf("insert into %s: %w", r.table.name, err)
			}
		}
	}
	if err := out.Send(); err != nil {
		return fmt.Errorf("insert into %s: %w", r.table.name, err)
	}
	return nil
}
