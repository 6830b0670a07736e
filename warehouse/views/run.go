package views

import (
	"fmt"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxWork bounds the elements that one resource's rows are made of, which is
// also the most rows; maxRepeat the depth of repeat.
const (
	maxWork   = 1_000_000
	maxRepeat = fhir.MaxDepth
)

// run is the state of producing one resource's rows.
type run struct {
	view  *View
	ctx   fhirpath.Context
	index fhirpath.Collection // %rowIndex: one item, changed in place
	row   []Cell
	emit  func([]Cell) error
	work  int
	test  fhirpath.Collection
	free  []fhirpath.Collection
}

// Rows calls emit for every row of a resource, none if the view does not take
// it. The row is reused. Errors are fault.Invalid where data and view do not
// fit; emit's own error ends the run and is returned as it is.
func (v *View) Rows(res fhir.Node, emit func(row []Cell) error) error {
	if !v.Takes(res) {
		return nil
	}
	r, _ := v.runs.Get().(*run)
	if r == nil {
		r = v.newRun()
	}
	r.emit, r.work, r.ctx.Resource = emit, 0, res
	err := r.resource(v.eng.Item(res))
	r.emit, r.ctx.Resource = nil, fhir.Node{}
	v.runs.Put(r)
	return err
}

func (v *View) newRun() *run {
	r := &run{view: v, index: fhirpath.Collection{fhirpath.ValueItem(fhirpath.Integer(0))}, row: make([]Cell, len(v.columns))}
	for i := range r.row {
		r.row[i].many = v.columns[i].Collection
	}
	r.ctx.Variables = make(map[string]fhirpath.Collection, len(v.constants)+1)
	for name, value := range v.constants {
		r.ctx.Variables[name] = value
	}
	r.ctx.Variables[rowIndex] = r.index
	return r
}

func (r *run) resource(item fhirpath.Item) error {
	for _, w := range r.view.where {
		ok, err := r.holds(w, item)
		if err != nil || !ok {
			return err
		}
	}
	r.setIndex(0)
	return r.focus(r.view.root, item, nil)
}

// holds evaluates a where path: one boolean, or empty for false.
func (r *run) holds(w *fhirpath.Expression, item fhirpath.Item) (bool, error) {
	var err error
	if r.test, err = w.Append(r.test[:0], &r.ctx, item); err != nil || len(r.test) == 0 {
		return false, err
	}
	v, ok := r.test[0].Value()
	b, isBool := v.Bool()
	if len(r.test) > 1 || !ok || !isBool {
		return false, fault.New(fault.Invalid, "where path %s: one boolean is needed, found %d of %s", w, len(r.test), r.test[0].Type())
	}
	return b, nil
}

func (r *run) setIndex(n int) { r.index[0] = fhirpath.ValueItem(fhirpath.Integer(int64(n))) }

func (r *run) buffer() fhirpath.Collection {
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b
	}
	return make(fhirpath.Collection, 0, 8)
}

// rest is what is still to be joined to the columns that are filled: further
// parts of a select with their focus, then those around it. nil emits the row.
type rest struct {
	parts []*selection
	item  fhirpath.Item
	index int
	outer *rest
}

// selection runs one select on an item and goes on with next for each result.
func (r *run) selection(s *selection, item fhirpath.Item, next *rest) error {
	switch {
	case s.union != nil:
		for _, branch := range s.union {
			if err := r.selection(branch, item, next); err != nil {
				return err
			}
		}
		return nil
	case s.repeat != nil:
		index := r.index[0]
		n := 0
		err := r.repeat(s, item, next, &n, 0)
		r.index[0] = index
		return err
	case s.each != nil:
		return r.each(s, item, next)
	}
	return r.focus(s, item, next)
}

func (r *run) each(s *selection, item fhirpath.Item, next *rest) error {
	items, err := s.each.Append(r.buffer(), &r.ctx, item)
	if err != nil {
		return err
	}
	index := r.index[0]
	for i := range items {
		r.setIndex(i)
		if err = r.focus(s, items[i], next); err != nil {
			break
		}
	}
	if len(items) == 0 && s.orNull {
		r.setIndex(0)
		err = r.focus(s, fhirpath.Item{}, next)
	}
	r.index[0] = index
	r.free = append(r.free, items[:0])
	return err
}

// repeat goes down depth first, each item before its children.
func (r *run) repeat(s *selection, item fhirpath.Item, next *rest, n *int, depth int) error {
	if depth > maxRepeat {
		return fault.New(fault.TooCostly, "repeat goes deeper than %d", maxRepeat)
	}
	for _, x := range s.repeat {
		items, err := x.Append(r.buffer(), &r.ctx, item)
		if err != nil {
			return err
		}
		for i := range items {
			r.setIndex(*n)
			*n++
			if err := r.focus(s, items[i], next); err != nil {
				return err
			}
			if err := r.repeat(s, items[i], next, n, depth+1); err != nil {
				return err
			}
		}
		r.free = append(r.free, items[:0])
	}
	return nil
}

// focus fills the columns of a select for one item and joins its parts.
func (r *run) focus(s *selection, item fhirpath.Item, next *rest) error {
	if r.work++; r.work > maxWork {
		return fault.New(fault.TooCostly, "more than %d elements and rows for one resource", maxWork)
	}
	for i := range s.cols {
		c := &s.cols[i]
		cell := &r.row[c.index]
		var err error
		if cell.items, err = c.expr.Append(cell.items[:0], &r.ctx, item); err != nil {
			return fmt.Errorf("column %s: %w", r.view.columns[c.index].Name, err)
		}
		if len(cell.items) > 1 && !c.many {
			return fault.New(fault.Invalid, "column %s: %d values where one is expected; use collection: true or first()",
				r.view.columns[c.index].Name, len(cell.items))
		}
	}
	if len(s.parts) == 0 && next == nil {
		return r.done()
	}
	if len(s.parts) == 0 {
		return r.join(next)
	}
	return r.join(&rest{parts: s.parts, item: item, index: int(r.rowIndex()), outer: next})
}

func (r *run) rowIndex() int64 {
	v, _ := r.index[0].Value()
	n, _ := v.Int()
	return n
}

// join goes on with the next part, or emits the row.
func (r *run) join(next *rest) error {
	for next != nil && len(next.parts) == 0 {
		next = next.outer
	}
	if next == nil {
		return r.done()
	}
	index := r.index[0]
	r.setIndex(next.index)
	after := next.outer
	if len(next.parts) > 1 {
		after = &rest{parts: next.parts[1:], item: next.item, index: next.index, outer: next.outer}
	}
	err := r.selection(next.parts[0], next.item, after)
	r.index[0] = index
	return err
}

func (r *run) done() error {
	return r.emit(r.row)
}
