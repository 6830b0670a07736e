package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/changes"
)

// page is how many resources a rebuild reads at once.
const page = 5000

// freshPrefix names tables that are being filled.
const freshPrefix = "_new_"

// Rebuild makes a view's table anew from the landing table and puts it in the
// place of the old one in one step. Readers see the old table until then;
// changes go on arriving, and wait only for the last step. fault.NotFound for
// an unknown table.
func (s *Sink) Rebuild(ctx context.Context, name string) error {
	sh := s.shape.Load()
	if sh.table(name) == nil {
		return fault.New(fault.NotFound, "no table %s", name)
	}
	return s.build(ctx, sh, name, true)
}

// build fills a table as a shape wants it, beside the one in use, and makes the
// shape the one in use together with the table.
func (s *Sink) build(ctx context.Context, sh *shape, name string, exists bool) error {
	t := sh.table(name)
	fresh := *t
	fresh.name = freshPrefix + t.name
	s.write.Lock()
	from := s.high
	s.write.Unlock()
	if err := s.exec(ctx, slices.Concat(s.cfg.Layout.drop(t.database, fresh.name), fresh.create())...); err != nil {
		return fmt.Errorf("rebuild %s: %w", name, err)
	}
	types := sh.typesOf(t)
	for _, typ := range types {
		if err := s.copyType(ctx, sh, t, &fresh, typ); err != nil {
			return fmt.Errorf("rebuild %s: %w", name, err)
		}
	}
	s.write.Lock()
	defer s.write.Unlock()
	if _, err := s.copyRows(ctx, sh, t, &fresh, "type IN (?) AND seq > ? ORDER BY type, id, version DESC LIMIT 1 BY type, id", types, from); err != nil {
		return fmt.Errorf("rebuild %s: %w", name, err)
	}
	if err := s.exec(ctx, s.cfg.Layout.replace(t.database, fresh.name, name, exists)...); err != nil {
		return fmt.Errorf("rebuild %s: %w", name, err)
	}
	s.shape.Store(sh)
	return s.catchUp(ctx, sh, t, from) // what other nodes wrote to the old table
}

// behind is how far a node's changes may be behind the newest it has written:
// partitions are read side by side.
const behind = 100_000

// catchUp writes the rows of a table again for the newest changes: nothing comes
// of rows that are there. The caller holds the write lock.
func (s *Sink) catchUp(ctx context.Context, sh *shape, t *table, from uint64) error {
	from -= min(from, behind)
	res, err := s.conn.Query(ctx, "SELECT type, id, version, is_deleted, resource FROM "+s.landing.path()+" WHERE type IN (?) AND seq > ? ORDER BY type, id, version DESC LIMIT 1 BY type, id", sh.typesOf(t), from)
	if err != nil {
		return fmt.Errorf("catch up %s: %w", t.name, err)
	}
	b := &batch{}
	for res.Next() {
		c := &changes.Change{}
		var version uint64
		var deleted uint8
		var resource string
		if err := res.Scan(&c.Type, &c.ID, &version, &deleted, &resource); err != nil {
			return errors.Join(err, res.Close())
		}
		if c.Version = int64(version); deleted == 0 {
			c.Resource = []byte(resource)
		}
		b.items = append(b.items, arrival{change: c})
	}
	if err := errors.Join(res.Err(), res.Close()); err != nil {
		return fmt.Errorf("catch up %s: %w", t.name, err)
	}
	b.begin(sh)
	for _, a := range b.items {
		b.project(sh, s.log, a, t)
	}
	if err := s.trim(ctx, b.of(t)); err != nil {
		return err
	}
	return s.insert(ctx, b.of(t), "")
}

// typesOf returns the resource types whose views fill a table.
func (sh *shape) typesOf(t *table) (types []string) {
	for typ, feeds := range sh.byType {
		if slices.ContainsFunc(feeds, func(f *feed) bool { return f.table == t }) {
			types = append(types, typ)
		}
	}
	slices.Sort(types)
	return types
}

// copyType writes the rows of the current version of every resource of a type,
// page by page along the landing table's key.
func (s *Sink) copyType(ctx context.Context, sh *shape, t, fresh *table, typ string) error {
	for after := ""; ; {
		last, err := s.copyRows(ctx, sh, t, fresh, fmt.Sprintf("type = ? AND id > ? ORDER BY id, version DESC LIMIT 1 BY id LIMIT %d", page), typ, after)
		if err != nil || last == "" {
			return err
		}
		after = last
	}
}

// copyRows writes the rows of the versions that a condition on the landing
// table selects and returns the id of the last, "" if there was none.
func (s *Sink) copyRows(ctx context.Context, sh *shape, t, fresh *table, where string, args ...any) (last string, err error) {
	res, err := s.conn.Query(ctx, "SELECT type, id, version, is_deleted, last_updated, seq, resource FROM "+s.landing.path()+" WHERE "+where, args...)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, res.Close()) }()
	b := &batch{rows: map[*table]*rows{}}
	flush := func() error {
		r := b.of(t)
		out := rows{table: fresh, list: r.list}
		b.rows = map[*table]*rows{}
		return s.insert(ctx, &out, "")
	}
	for res.Next() {
		var c changes.Change
		var version, seq uint64
		var deleted uint8
		var at time.Time
		var resource string
		if err := res.Scan(&c.Type, &c.ID, &version, &deleted, &at, &seq, &resource); err != nil {
			return "", err
		}
		last = c.ID
		if deleted == 1 {
			continue
		}
		c.Version, c.Resource = int64(version), []byte(resource)
		b.project(sh, s.log, arrival{change: &c}, t)
		if len(b.of(t).list) >= 4*page {
			if err := flush(); err != nil {
				return "", err
			}
		}
	}
	if err := res.Err(); err != nil {
		return "", err
	}
	return last, flush()
}

// drift says how the tables differ from what the views want: changed cannot
// take rows as they are, stale can but lack values or keep old columns.
func (s *Sink) drift(ctx context.Context) (changed, stale []string, err error) {
	res, err := s.conn.Query(ctx, "SELECT table, name, type FROM system.columns WHERE database = ?", s.cfg.Database)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, res.Close()) }()
	have := map[string]map[string]string{}
	for res.Next() {
		var table, name, typ string
		if err := res.Scan(&table, &name, &typ); err != nil {
			return nil, nil, err
		}
		if have[table] == nil {
			have[table] = map[string]string{}
		}
		have[table][name] = typ
	}
	for _, t := range s.shape.Load().tables {
		cols := have[t.name]
		if cols == nil {
			continue
		}
		same, fits := len(cols) == len(t.columns)+len(keys), true
		for _, c := range t.columns {
			typ, ok := cols[c.name]
			same = same && ok
			fits = fits && (!ok || typ == c.typ)
		}
		switch {
		case !fits:
			changed = append(changed, t.name)
		case !same:
			stale = append(stale, t.name)
		}
	}
	return changed, stale, res.Err()
}

// backfill rebuilds the tables whose views gained or lost columns, beside the
// arriving changes.
func (s *Sink) backfill(ctx context.Context) {
	for _, name := range s.stale {
		begun := time.Now()
		if err := s.until(ctx, "rebuild "+name, func(ctx context.Context) error { return s.Rebuild(ctx, name) }); err != nil {
			return // ctx ended; the next start does it
		}
		s.log.Info("table rebuilt", "table", name, "took", time.Since(begun).Round(time.Millisecond))
	}
}
