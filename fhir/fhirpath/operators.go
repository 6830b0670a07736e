package fhirpath

import "slices"

import "strings"

type literalOp struct{ value Value }

func (o literalOp) eval(_ *frame, dst []Item) ([]Item, error) {
	return append(dst, Item{val: o.value}), nil
}

type emptyOp struct{}

func (emptyOp) eval(_ *frame, dst []Item) ([]Item, error) { return dst, nil }

type thisOp struct{}

func (thisOp) eval(f *frame, dst []Item) ([]Item, error) { return append(dst, f.this...), nil }

type indexOp struct{}

func (indexOp) eval(f *frame, dst []Item) ([]Item, error) {
	return append(dst, Item{val: Integer(f.index)}), nil
}

type totalOp struct{}

func (totalOp) eval(f *frame, dst []Item) ([]Item, error) { return append(dst, f.total...), nil }

type isOp struct {
	from op
	typ  typeTest
}

func (o *isOp) eval(f *frame, dst []Item) ([]Item, error) {
	it, ok, err := f.one(o.from)
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, Item{val: Boolean(o.typ.is(&it))}), nil
}

type indexerOp struct{ from, index op }

func (o *indexerOp) eval(f *frame, dst []Item) ([]Item, error) {
	n, ok, err := f.integer(o.index, "an index")
	if err != nil || !ok {
		return dst, err
	}
	b, err := f.target(o.from)
	if err != nil {
		return nil, err
	}
	if n >= 0 && n < int64(len(b)) {
		dst = append(dst, b[n])
	}
	f.recycle(b)
	return dst, nil
}

// listOp is a union of strings that stand in the expression, as in
// x in ('a' | 'b'): made once.
type listOp []Item

func (o listOp) eval(_ *frame, dst []Item) ([]Item, error) { return append(dst, o...), nil }

// union joins two ops, at once where both are strings of the expression.
func union(a, b op) op {
	var list listOp
	for _, side := range []op{a, b} {
		switch o := side.(type) {
		case listOp:
			list = append(list, o...)
		case literalOp:
			if o.value.kind != KindString {
				return &unionOp{a, b}
			}
			list = append(list, Item{val: o.value})
		default:
			return &unionOp{a, b}
		}
	}
	var once listOp
	for _, it := range list {
		if !slices.ContainsFunc(once, func(o Item) bool { return o.val.str == it.val.str }) {
			once = append(once, it)
		}
	}
	return once
}

type unionOp struct{ a, b op }

func (o *unionOp) eval(f *frame, dst []Item) ([]Item, error) {
	b, err := f.collect(o.a)
	if err == nil {
		b, err = o.b.eval(f, b)
	}
	if err == nil {
		dst, err = f.distinct(b, dst)
	}
	f.recycle(b)
	return dst, err
}

// logicOp is and, or, xor, implies in three-valued logic. The right side is
// not evaluated where the left decides.
type logicOp struct {
	a, b op
	name string
}

func (o *logicOp) eval(f *frame, dst []Item) ([]Item, error) {
	t, err := o.truth(f)
	return appendTruth(dst, t), err
}

func (o *logicOp) truth(f *frame) (truth, error) {
	a, err := f.truth(o.a)
	switch {
	case err != nil:
		return unknown, err
	case o.name == "and" && a == no:
		return no, nil
	case o.name == "or" && a == yes, o.name == "implies" && a == no:
		return yes, nil
	}
	b, err := f.truth(o.b)
	if err != nil {
		return unknown, err
	}
	return logic(o.name, a, b), nil
}

func logic(name string, a, b truth) truth {
	switch name {
	case "and":
		if b == no {
			return no
		}
	case "or":
		if b == yes {
			return yes
		}
	case "implies":
		if b == yes {
			return yes
		}
	}
	if a == unknown || b == unknown {
		return unknown
	}
	switch name {
	case "and":
		return truthOf(a == yes && b == yes)
	case "or":
		return truthOf(a == yes || b == yes)
	case "xor":
		return truthOf(a != b)
	}
	return truthOf(a == no || b == yes)
}

// memberOp is "in"; "contains" with the operands exchanged.
type memberOp struct{ item, list op }

func (o *memberOp) eval(f *frame, dst []Item) ([]Item, error) {
	it, ok, err := f.one(o.item)
	if err != nil || !ok {
		return dst, err
	}
	b, err := f.collect(o.list)
	if err != nil {
		return nil, err
	}
	found := false
	for i := range b {
		if equalItems(&it, &b[i]) == yes {
			found = true
			break
		}
	}
	err = f.tick(len(b))
	f.recycle(b)
	return append(dst, Item{val: Boolean(found)}), err
}

// concatOp is &: it joins strings and takes empty for ”.
type concatOp struct{ a, b op }

func (o *concatOp) eval(f *frame, dst []Item) ([]Item, error) {
	var s strings.Builder
	for _, x := range [...]op{o.a, o.b} {
		it, ok, err := f.one(x)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		v, ok := it.Value()
		if !ok {
			return nil, evalError("& joins strings, not %s", it.Type())
		}
		s.WriteString(v.String())
	}
	if s.Len() > maxText {
		return nil, errItems
	}
	return append(dst, Item{val: String(s.String())}), nil
}

// maxText bounds strings that an expression makes.
const maxText = 16 << 20

// callOp calls a function on its target (the focus if from is nil).
type callOp struct {
	name string
	from op
	args []op
	fn   builtin
}

// builtin is a function: in is what it is called on, args are not evaluated
// yet. It appends its result to dst.
type builtin func(f *frame, in []Item, args []op, dst []Item) ([]Item, error)

func (o *callOp) eval(f *frame, dst []Item) ([]Item, error) {
	if o.from == nil {
		return o.fn(f, f.this, o.args, dst)
	}
	b, err := f.target(o.from)
	if err != nil {
		return nil, err
	}
	dst, err = o.fn(f, b, o.args, dst)
	f.recycle(b)
	return dst, err
}
