package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// ViewDefinitions that are stored in the repository become tables: every sink
// looks for them in the landing table, so that it does not matter which node
// consumes them, and the one that leads builds the tables.

// lookAfter is how often stored views are looked for.
const lookAfter = time.Second

// reserved are tables that no view may fill, besides the shipped ones.
var reserved = []string{landingTable, "prescription", dlq}

// Check reports why a ViewDefinition cannot become a table: a wrong path, a
// name that is taken, a column type that tables do not keep. Before it is
// stored, so that the one who posts it hears.
func (s *Sink) Check(definition []byte) error {
	v, err := s.compile(definition)
	if err != nil {
		return err
	}
	if v == nil {
		return nil // retired, or without a name: no table
	}
	_, err = empty().with(v, definition, &s.cfg, true)
	return err
}

// compile returns the view of a definition that wants a table, nil if it wants
// none.
func (s *Sink) compile(definition []byte) (*views.View, error) {
	tree, err := fhir.Parse(definition)
	if err != nil {
		return nil, err
	}
	v, err := views.Compile(definition, s.eng)
	if err != nil || tree.Root().Get("status").Str() == "retired" || v.Name == "" {
		return nil, err
	}
	if url := tree.Root().Get("url").Str(); s.shipped[v.Name] && url == "https://qihuang.health/fhir/ViewDefinition/"+tree.Root().Get("id").Str() {
		return nil, nil // the guide's own, as it is shipped
	}
	names := []string{v.Name}
	for x := range tree.Root().Get("extension").Children() {
		if x.Get("url").Str() == tableExtension {
			names = append(names, x.Get("valueString").Str())
		}
	}
	for _, name := range names {
		if s.shipped[name] || slices.Contains(reserved, name) || strings.HasPrefix(name, "_") || strings.HasSuffix(name, "_local") || !identifier(name) {
			return nil, fault.New(fault.Invalid, "表名 %q 已被占用或不能作表名", name)
		}
	}
	return v, nil
}

// watch takes stored views into use until ctx ends.
func (s *Sink) watch(ctx context.Context) {
	tick := time.NewTicker(lookAfter)
	defer tick.Stop()
	for {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.log.DebugContext(ctx, "look for stored views", "error", err) // said by until when it lasts
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stored is a version of a ViewDefinition in the landing table.
type stored struct {
	id         string
	version    int64
	deleted    bool
	definition []byte
}

func (s *Sink) look(ctx context.Context) error {
	rows, err := s.conn.Query(ctx, "SELECT id, version, is_deleted, resource FROM "+s.landing.path()+" WHERE type = 'ViewDefinition' ORDER BY id, version DESC LIMIT 1 BY id")
	if err != nil {
		return err
	}
	var list []stored
	for rows.Next() {
		var d stored
		var version uint64
		var deleted uint8
		var text string
		if err := rows.Scan(&d.id, &version, &deleted, &text); err != nil {
			return errors.Join(err, rows.Close())
		}
		d.version, d.deleted, d.definition = int64(version), deleted == 1, []byte(text)
		if s.adopted[d.id] != d.version {
			list = append(list, d)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, d := range list {
		switch done, err := s.adopt(ctx, d); {
		case err == nil && !done:
			continue // another node is building it
		case err == nil:
		case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict), fault.Is(err, fault.Unsupported):
			s.log.WarnContext(ctx, "a stored view makes no table", "id", d.id, "version", d.version, "error", err)
		default:
			return err // the warehouse: again at the next look
		}
		s.adopted[d.id] = d.version
	}
	return nil
}

// adopt makes the table of a stored view, or takes it away. done is false while
// another node has to build it.
func (s *Sink) adopt(ctx context.Context, d stored) (done bool, err error) {
	sh := s.shape.Load()
	old := s.tableOf[d.id]
	var v *views.View
	if !d.deleted {
		if v, err = s.compile(d.definition); err != nil {
			v = nil // a bad new version takes the old table out of use as well
		}
	}
	if v == nil {
		if old == "" {
			return true, err
		}
		s.write.Lock()
		s.shape.Store(sh.without(old))
		s.write.Unlock()
		delete(s.tableOf, d.id)
		if !s.leads.Load() {
			return true, err
		}
		return true, errors.Join(err, s.exec(ctx, s.cfg.Layout.drop(s.cfg.Database, old)...))
	}
	base := sh
	if old != "" {
		base = sh.without(old)
	}
	next, err := base.with(v, d.definition, &s.cfg, true)
	if err != nil {
		return false, err
	}
	name := next.tables[len(next.tables)-1].name
	same, exists, err := s.matches(ctx, next.table(name))
	if err != nil {
		return false, err
	}
	switch {
	case same && s.builtWith(ctx, name) == d.version: // before this start, or by another node
		if err := s.join(ctx, next, name); err != nil {
			return false, err
		}
	case !s.leads.Load():
		return false, nil
	default:
		begun := time.Now()
		if err := s.build(ctx, next, name, exists); err != nil {
			return false, err
		}
		if err := s.exec(ctx, fmt.Sprintf("ALTER TABLE `%s`.`%s`%s MODIFY COMMENT '%s%d'", s.cfg.Database, s.cfg.Layout.stored(name), s.cfg.Layout.on(), versionMark, d.version)); err != nil {
			return false, err
		}
		s.log.InfoContext(ctx, "a stored view became a table", "table", name, "version", d.version, "took", time.Since(begun).Round(time.Millisecond))
	}
	if old != "" && old != name && s.leads.Load() {
		err = s.exec(ctx, s.cfg.Layout.drop(s.cfg.Database, old)...)
	}
	s.tableOf[d.id] = name
	return true, err
}

// join takes a table into use that is already built. What this node consumed
// while another one built it is written now.
func (s *Sink) join(ctx context.Context, next *shape, name string) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.Ready() {
		if err := s.catchUp(ctx, next, next.table(name), s.high); err != nil {
			return err
		}
	}
	s.shape.Store(next)
	return nil
}

// versionMark begins a table's comment: the version of the ViewDefinition that
// filled it.
const versionMark = "ViewDefinition version "

func (s *Sink) builtWith(ctx context.Context, name string) int64 {
	var comment string
	if err := s.conn.QueryRow(ctx, "SELECT comment FROM system.tables WHERE database = ? AND name = ?", s.cfg.Database, s.cfg.Layout.stored(name)).Scan(&comment); err != nil {
		return 0
	}
	var n int64
	if _, err := fmt.Sscanf(comment, versionMark+"%d", &n); err != nil {
		return 0
	}
	return n
}

// matches compares a table with what is there.
func (s *Sink) matches(ctx context.Context, t *table) (same, exists bool, err error) {
	rows, err := s.conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = ? AND table = ? ORDER BY position", s.cfg.Database, t.name)
	if err != nil {
		return false, false, err
	}
	var have []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.typ); err != nil {
			return false, false, errors.Join(err, rows.Close())
		}
		have = append(have, c)
	}
	want := slices.Concat(t.columns, keys)
	same = slices.EqualFunc(have, want, func(a, b column) bool { return a.name == b.name && a.typ == b.typ })
	return same, len(have) > 0, errors.Join(rows.Err(), rows.Close())
}
