package files

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

const (
	buckets    = 8         // rows of one patient go through one of them, in order
	batchBytes = 512 << 10 // of one message
)

// table streams the rows of a table into messages. Rows of one patient stay in
// order, others go beside each other.
func (r *reading) table(ctx context.Context, src table.Source) error {
	rd, err := table.Open(src)
	if err != nil {
		return err
	}
	defer rd.Close()
	name := tableOf(src.Name, r.source.cfg.Tables)
	if err := r.columns(name, rd.Columns()); err != nil {
		return err
	}
	out := newSpread(ctx, r, name, rd.Columns())
	for {
		row, err := rd.Next()
		var broken *table.RowError
		switch {
		case errors.Is(err, io.EOF):
			return out.close()
		case errors.As(err, &broken):
			r.problem(broken.Row, broken.Column, broken.Message)
			continue
		case err != nil:
			return errors.Join(err, out.close())
		}
		if err := out.add(row); err != nil {
			return errors.Join(err, out.close())
		}
	}
}

// tableOf is the beginning of the file name: a known table's name, else what
// stands before a date, a dot, a blank or a hyphen.
func tableOf(file string, known []string) string {
	best := ""
	for _, k := range known {
		if len(k) > len(best) && len(file) >= len(k) && strings.EqualFold(file[:len(k)], k) {
			best = k
		}
	}
	if best != "" {
		return best
	}
	name := file
	if i := strings.IndexAny(name, ". -(（"); i > 0 {
		name = name[:i]
	}
	parts := strings.Split(name, "_")
	for len(parts) > 1 && digits(parts[len(parts)-1]) {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, "_")
}

// digits reports a counter or a date at the end of a name; one or two digits may
// belong to it (MS_CF_01).
func digits(s string) bool {
	if len(s) < 3 {
		return s == ""
	}
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

const columnsKey = "columns:"

// columns remembers a table's columns; one that vanished stops the file: rows
// without it would silently empty what is known.
func (r *reading) columns(name string, now []string) error {
	key := columnsKey + name
	have := map[string]bool{}
	for _, c := range now {
		have[strings.ToUpper(c)] = true
	}
	before := r.source.parts.State.Get(key)
	var gone []string
	for _, c := range strings.Split(before, ",") {
		if c != "" && !have[strings.ToUpper(c)] {
			gone = append(gone, c)
		}
	}
	if len(gone) > 0 {
		for _, c := range gone[1:] {
			r.problem(1, c, "表 "+name+" 缺少以前有的列 "+c)
		}
		r.problem(1, gone[0], "表 "+name+" 缺少以前有的列 "+gone[0])
		r.source.parts.Intake.Trouble("columns", "表 "+name+" 缺少以前有的列 "+strings.Join(gone, "、")+"；确认是有意修改后，在控制台“接受新的表结构”，再把文件放回")
		return &seen{}
	}
	if err := r.source.parts.State.Set(key, strings.Join(now, ",")); err != nil {
		return &stopped{err}
	}
	return nil
}

// seen is an error whose words are in the report already.
type seen struct{}

// Error says nothing.
func (*seen) Error() string { return "" }

// spread gathers rows into messages by patient.
type spread struct {
	ctx     context.Context
	r       *reading
	table   string
	columns []string
	key     int // column of the patient, -1 = none
	open    [buckets]*table.Batch
	busy    [buckets]chan error // of the append on its way
	err     error
}

func newSpread(ctx context.Context, r *reading, name string, columns []string) *spread {
	s := &spread{ctx: ctx, r: r, table: name, columns: append([]string(nil), columns...), key: -1}
	for _, k := range r.source.cfg.Key {
		for i, c := range columns {
			if s.key < 0 && strings.EqualFold(c, k) {
				s.key = i
			}
		}
	}
	return s
}

func (s *spread) add(row table.Row) error {
	key := row.Values[0] // tables without a patient: the first column is their key as a rule
	if s.key >= 0 {
		key = row.Values[s.key]
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, key)
	i := int(h.Sum32() % buckets)
	b := s.open[i]
	if b == nil {
		b = &table.Batch{Table: s.table, Columns: s.columns}
		s.open[i] = b
	}
	b.Add(row.Number, row.Values)
	if len(b.Rows) >= s.r.source.cfg.Batch || b.Size() >= batchBytes {
		s.flush(i)
	}
	return s.err
}

// flush sends a bucket's rows. Buckets are appended beside each other; one
// bucket's messages follow each other.
func (s *spread) flush(i int) {
	b := s.open[i]
	s.wait(i)
	if b == nil || s.err != nil {
		return
	}
	s.open[i] = nil
	b = s.r.checked(s.ctx, b, i)
	if len(b.Rows) == 0 {
		return
	}
	m := s.r.batch(b, i)
	s.r.rows += len(b.Rows)
	s.r.messages++
	done := make(chan error, 1)
	s.busy[i] = done
	intake := s.r.source.parts.Intake
	go func() { done <- intake.Insist(s.ctx, m) }()
}

func (s *spread) wait(i int) {
	if s.busy[i] == nil {
		return
	}
	if err := <-s.busy[i]; err != nil && s.err == nil {
		s.err = &stopped{err}
	}
	s.busy[i] = nil
}

// close sends what is left and waits for everything.
func (s *spread) close() error {
	for i := range buckets {
		s.flush(i)
	}
	for i := range buckets {
		s.wait(i)
	}
	return s.err
}

func (r *reading) batch(b *table.Batch, bucket int) *pipeline.Message {
	kind := r.source.parts.Kind
	if kind == "" {
		kind = table.Kind
	}
	m := r.source.parts.Intake.Message(kind, strconv.Itoa(bucket), "application/json", "", b.JSON())
	m.Headers["file"], m.Headers["table"] = r.name, b.Table
	return m
}

// checked tries the map on the rows and takes out those it refuses.
func (r *reading) checked(ctx context.Context, b *table.Batch, bucket int) *table.Batch {
	if r.source.parts.Check == nil {
		return b
	}
	for len(b.Rows) > 0 {
		err := r.source.parts.Check(ctx, r.batch(b, bucket))
		if err == nil || !refused(err) {
			return b
		}
		bad := map[int]bool{}
		for _, is := range fault.IssuesOf(err) {
			i, column, ok := rowOf(is.Expression)
			if !ok || i >= len(b.Rows) {
				continue
			}
			bad[i] = true
			r.problem(b.Numbers[i], column, is.Text)
		}
		if len(bad) == 0 { // it does not say which: one by one
			return r.singly(ctx, b, bucket)
		}
		b = without(b, bad)
	}
	return b
}

// singly checks every row alone.
func (r *reading) singly(ctx context.Context, b *table.Batch, bucket int) *table.Batch {
	bad := map[int]bool{}
	for i := range b.Rows {
		one := &table.Batch{Table: b.Table, Columns: b.Columns}
		one.Add(b.Numbers[i], b.Rows[i])
		if err := r.source.parts.Check(ctx, r.batch(one, bucket)); err != nil && refused(err) {
			bad[i] = true
			r.problem(b.Numbers[i], columnIn(fault.Place(err), b.Columns), fault.Sentence(err))
		}
	}
	return without(b, bad)
}

func without(b *table.Batch, bad map[int]bool) *table.Batch {
	out := &table.Batch{Table: b.Table, Columns: b.Columns}
	for i, row := range b.Rows {
		if !bad[i] {
			out.Add(b.Numbers[i], row)
		}
	}
	return out
}

// rowOf reads a place like rows[3].BRID.
func rowOf(place string) (i int, column string, ok bool) {
	rest, ok := strings.CutPrefix(place, "rows[")
	if !ok {
		return 0, "", false
	}
	n, rest, ok := strings.Cut(rest, "]")
	if !ok {
		return 0, "", false
	}
	i, err := strconv.Atoi(n)
	column, _, _ = strings.Cut(strings.TrimPrefix(rest, "."), " ")
	return i, column, err == nil && i >= 0
}

// columnIn finds a column's name in a place.
func columnIn(place string, columns []string) string {
	for _, c := range columns {
		if c != "" && strings.Contains(strings.ToUpper(place), strings.ToUpper(c)) {
			return c
		}
	}
	return ""
}
