package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// HeaderFile names the file a message came in; its body is the file.
const HeaderFile = "file"

const (
	chunk     = 250 // rows of one transaction
	maxIssues = 20  // rows named when a table is refused in part
)

// Handle implements pipeline.Sink. Rows that can be read take effect even where
// others cannot; those are named in the fault.
func (l *Ledger) Handle(ctx context.Context, m *pipeline.Message) error {
	defer l.pending.end(m.ID)
	w := &writing{ledger: l, message: m}
	err := l.each(m, func(s *settlement) error { return w.add(ctx, s) }, func(err error) {
		if is := fault.IssuesOf(err); len(w.issues) < maxIssues {
			w.issues = append(w.issues, is...)
		}
		w.refused++
	})
	if err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	if w.refused > 0 {
		return fault.New(fault.Invalid, "%d 行不能入库，其余 %d 行已入库", w.refused, w.rows).With(w.issues...)
	}
	return nil
}

// Check reads a message without effect and returns its first fault.
func (l *Ledger) Check(m *pipeline.Message) (rows int, err error) {
	var first error
	err = l.each(m, func(*settlement) error { rows++; return nil }, func(err error) {
		if first == nil {
			first = err
		}
	})
	if err == nil {
		err = first
	}
	return rows, err
}

// each reads a message's settlements in order. bad gets the rows that cannot be
// read; an error of ok ends it.
func (l *Ledger) each(m *pipeline.Message, ok func(*settlement) error, bad func(error)) error {
	if name := m.Headers[HeaderFile]; name != "" {
		return l.eachOfFile(name, m.Body, ok, bad)
	}
	text, _, err := charset.Decode(m.Body, m.Charset)
	if err != nil {
		return err
	}
	var in struct {
		Table   *string                `json:"table"`
		Rows    []map[string]ncms.Text `json:"rows"`
		Infno   ncms.Text              `json:"infno"`
		Service ncms.Text              `json:"serviceId"`
		Request json.RawMessage        `json:"request"`
		Reply   json.RawMessage        `json:"reply"`
		Input   json.RawMessage        `json:"input"`
		Output  json.RawMessage        `json:"output"`
	}
	if err := ncms.DecodeJSON(text, &in); err != nil {
		return err
	}
	switch {
	case in.Table != nil:
		return l.eachOfRows(*in.Table, in.Rows, ok, bad)
	case in.Infno != "" || in.Service != "":
		s, err := l.message(text)
		if err != nil {
			return err
		}
		return ok(s)
	}
	return fault.New(fault.Invalid, "应有 table 与 rows，或结算报文").With(fault.Issue{Severity: "error", Code: "required", Key: "missing-table",
		Text: "应有 table 与 rows，或结算报文", TextEN: "table and rows, or a settlement message, are missing", Expression: "table"})
}

func (l *Ledger) eachOfRows(name string, rows []map[string]ncms.Text, ok func(*settlement) error, bad func(error)) error {
	upper := make([]map[string]string, len(rows))
	for i, r := range rows {
		upper[i] = make(map[string]string, len(r))
		for k, v := range r {
			upper[i][strings.ToUpper(k)] = v.String()
		}
	}
	form, err := layoutOf(name, func(c string) bool { return len(upper) > 0 && hasKey(upper[0], c) })
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for i, values := range upper {
		r := row{get: func(c string) string { return values[strings.ToUpper(c)] },
			place: func(c string) string { return "rows[" + strconv.Itoa(i) + "]." + strings.ToUpper(c) }}
		if err := l.take(form, r, seen, ok, bad); err != nil {
			return err
		}
	}
	return nil
}

func hasKey(m map[string]string, k string) bool { _, ok := m[k]; return ok }

func (l *Ledger) eachOfFile(name string, body []byte, ok func(*settlement) error, bad func(error)) error {
	t, err := table.Open(table.Source{Name: name, Data: bytes.NewReader(body), Size: int64(len(body))})
	if err != nil {
		return err
	}
	defer t.Close()
	columns := map[string]bool{}
	for _, c := range t.Columns() {
		columns[strings.ToUpper(c)] = true
	}
	base := name[strings.LastIndexAny(name, `/\`)+1:]
	base, _, _ = strings.Cut(base, ".")
	form, err := layoutOf(base, func(c string) bool { return columns[c] })
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for {
		values, err := t.Next()
		var wrong *table.RowError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &wrong):
			bad(fault.New(fault.Invalid, "%s", wrong.Error()).With(fault.Issue{Severity: "error", Code: "value", Key: "bad-row", Text: wrong.Error(), Line: wrong.Row, Expression: wrong.Column}))
			continue
		case err != nil:
			return err
		}
		r := row{get: values.Get, place: func(c string) string {
			return "第 " + strconv.Itoa(values.Number) + " 行 " + strings.ToUpper(c) + " 列"
		}}
		if err := l.take(form, r, seen, ok, bad); err != nil {
			return err
		}
	}
}

// take reads one row; seen counts the rows of one key within the message.
func (l *Ledger) take(form *layout, r row, seen map[string]int, ok func(*settlement) error, bad func(error)) error {
	key := r.get("BXID") + "\x00" + r.get("MZXH") + "\x00" + r.get("FPHM") + "\x00" + r.get("DJID")
	r.repeat = seen[key]
	seen[key]++
	s, err := form.read(l, r)
	if err != nil {
		bad(err)
		return nil
	}
	return ok(s)
}

// writing collects the ops of one message, a transaction for some rows.
type writing struct {
	ledger  *Ledger
	message *pipeline.Message
	snap    store.Snapshot
	ops     []store.Op
	rows    int
	pending int
	part    int
	refused int
	issues  []fault.Issue
	written map[string]bool // ExplanationOfBenefit of this transaction
}

func (w *writing) add(ctx context.Context, s *settlement) (err error) {
	if w.snap == nil {
		if w.snap, err = w.ledger.parts.Store.Snapshot(ctx, 0); err != nil {
			return err
		}
		w.written = map[string]bool{}
	}
	if err := w.settlement(s); err != nil {
		return errors.Join(err, w.close())
	}
	w.rows++
	if w.pending++; w.pending < chunk {
		return nil
	}
	return w.flush(ctx)
}

// settlement adds the ops of one row.
func (w *writing) settlement(s *settlement) (err error) {
	l := w.ledger
	if s.bill != nil {
		if w.ops, err = l.puts(w.ops, s.bill.Resources()...); err != nil {
			return err
		}
	}
	e := s.benefit
	id := record.BenefitID(e.Source, e.ID)
	n, version, err := store.Current(w.snap, "ExplanationOfBenefit", id)
	if err != nil || w.written[id] {
		return err
	}
	if version > 0 {
		old := record.ReadBenefit(n, e.Source)
		if trust(old.Teller) < trust(e.Teller) {
			return nil // whoever knows better has told already
		}
		if e.Cancelled && len(e.Sums) == 0 { // a reversal says no more than that
			teller := e.Teller
			e = old
			e.Cancelled, e.Teller = true, teller
		}
		if old.PatientID != "" && e.Card == old.Card {
			e.PatientID = old.PatientID
		}
	}
	if e.At == "" {
		e.At = w.message.Received.In(l.cfg.Zone).Format("2006-01-02T15:04:05Z07:00")
		if version > 0 {
			e.At = n.Get("created").Str()
		}
	}
	if e.PatientID == "" {
		pid, rs, err := l.owner(w.snap, s.card)
		if err != nil {
			return err
		}
		if w.ops, err = l.puts(w.ops, rs...); err != nil {
			return err
		}
		e.PatientID = pid
	}
	w.written[id] = true
	w.ops, err = l.puts(w.ops, e.Resources()...)
	return err
}

// trust orders the tellers, the best first.
func trust(teller string) int {
	switch teller {
	case record.ByCentre:
		return 0
	case record.ByFile:
		return 1
	}
	return 2
}

// flush commits what is collected.
func (w *writing) flush(ctx context.Context) error {
	if w.pending == 0 {
		return w.close()
	}
	w.part++
	err := w.ledger.commit(ctx, "ncms-"+w.message.ID+"-"+strconv.Itoa(w.part), w.once())
	w.ops, w.pending = nil, 0
	return errors.Join(err, w.close())
}

// once keeps the last op of each resource: two rows may tell of one card.
func (w *writing) once() []store.Op {
	last := map[string]int{}
	for i, op := range w.ops {
		last[op.Type+"/"+op.ID] = i
	}
	out := w.ops[:0]
	for i, op := range w.ops {
		if last[op.Type+"/"+op.ID] == i {
			out = append(out, op)
		}
	}
	return out
}

func (w *writing) close() error {
	if w.snap == nil {
		return nil
	}
	err := w.snap.Close()
	w.snap = nil
	return err
}
