package fhirpath

import (
	"cmp"
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
)

// Tree navigation, utility, aggregates, types: N1 chapters 5.8, 5.9, 7, 10.

func fnChildren(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	for i := range in {
		dst = in[i].children(f.eng, dst)
	}
	if err := f.tick(len(dst)); err != nil {
		return nil, err
	}
	return dst, f.grown(dst)
}

func fnDescendants(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	begin := len(dst)
	dst, err := fnChildren(f, in, nil, dst)
	for err == nil && begin < len(dst) {
		end := len(dst)
		level := dst[begin:end:end]
		begin = end
		dst, err = fnChildren(f, level, nil, dst)
	}
	return dst, err
}

func fnTrace(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	name, _, err := f.text(args[0], "the name of trace()")
	if err != nil {
		return nil, err
	}
	if f.ctx.Trace != nil {
		seen := slices.Clone(in)
		if len(args) == 2 {
			if seen, err = fnSelect(f, in, args[1:], nil); err != nil {
				return nil, err
			}
		}
		f.ctx.Trace(name, seen)
	}
	return append(dst, in...), nil
}

func fnNow(f *frame, _ []Item, _ []op, dst []Item) ([]Item, error) {
	return append(dst, Item{val: dateTimeOf(f.time())}), nil
}

func fnToday(f *frame, _ []Item, _ []op, dst []Item) ([]Item, error) {
	v, _ := toDate(dateTimeOf(f.time()))
	return append(dst, Item{val: v}), nil
}

func fnTimeOfDay(f *frame, _ []Item, _ []op, dst []Item) ([]Item, error) {
	v := dateTimeOf(f.time())
	_, _, _, v.n = v.calendar()
	v.kind, v.zone = KindTime, noZone
	return append(dst, Item{val: v}), nil
}

func fnNot(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	t, err := truthOfItems(in)
	return appendTruth(dst, negated(t)), err
}

func fnAggregate(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	outer := f.total
	defer func() { f.total = outer }()
	var total []Item
	if len(args) == 2 {
		var err error
		if total, err = args[1].eval(f, nil); err != nil {
			return nil, err
		}
	}
	err := f.each(in, func(int) error {
		f.total = total
		next, err := args[0].eval(f, nil)
		if err == nil {
			total, err = next, f.grown(next)
		}
		return err
	})
	return append(dst, total...), err
}

// sortKey is one argument of sort().
type sortKey struct {
	op
	descending bool
}

// prepareSort takes a leading minus of an argument for "descending".
func prepareSort(c *compiler, x *expr, o *callOp) (op, error) {
	for i, a := range x.args {
		if a.kind == exUnary && a.name == "-" && !a.paren {
			key, err := c.compile(a.args[0])
			if err != nil {
				return nil, err
			}
			o.args[i] = sortKey{key, true}
		}
	}
	return o, nil
}

func fnSort(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	if len(args) == 0 {
		args = []op{thisOp{}}
	}
	keys := make([]Value, 0, len(in)*len(args))
	err := f.each(in, func(int) error {
		for _, a := range args {
			v, _, err := f.value(a)
			if err != nil {
				return err
			}
			keys = append(keys, v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	order := make([]int, len(in))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		for k, a := range args {
			c, e := compareKeys(keys[i*len(args)+k], keys[j*len(args)+k])
			if e != nil {
				err = e
			}
			if s, ok := a.(sortKey); ok && s.descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	for _, i := range order {
		dst = append(dst, in[i])
	}
	return dst, err
}

// compareKeys puts empty keys last (so first when descending), as the official
// suite has it.
func compareKeys(a, b Value) (int, error) {
	if a.kind == None || b.kind == None {
		return cmp.Compare(min(b.kind, 1), min(a.kind, 1)), nil
	}
	order, _, err := compareValues(a, b)
	return order, err
}

// fnType gives {namespace, name} of each item.
func fnType(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	for i := range in {
		space := "FHIR"
		if in[i].typ == nil {
			space = "System"
		}
		src := append([]byte(nil), `{"namespace":"`+space+`","name":`...)
		src = append(appendQuoted(src, in[i].Type()), '}')
		t, err := fhir.Parse(src)
		if err != nil {
			return nil, err
		}
		dst = append(dst, Item{node: t.Root()})
	}
	return dst, nil
}

func fnCoalesce(f *frame, _ []Item, args []op, dst []Item) ([]Item, error) {
	for _, a := range args {
		out, err := a.eval(f, dst)
		if err != nil || len(out) > len(dst) {
			return out, err
		}
	}
	return dst, nil
}

// fnDefineVariable stands in the chain of invocations, so the
// variable is seen by what follows in the evaluation of that chain.
func fnDefineVariable(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	name, ok, err := f.text(args[0], "the name of defineVariable()")
	if err != nil || !ok {
		return dst, err
	}
	for s := f.scope; s != nil; s = s.outer {
		if s.name == name {
			return nil, evalError("variable %%%s is defined already", name)
		}
	}
	value := slices.Clone(in)
	if len(args) == 2 {
		this := f.this
		f.this = in
		value, err = args[1].eval(f, nil)
		if f.this = this; err != nil {
			return nil, err
		}
	}
	f.scope = &scope{name: name, value: value, outer: f.scope}
	return append(dst, in...), nil
}

// variableOp is %name.
type variableOp struct{ name string }

func (o *variableOp) eval(f *frame, dst []Item) ([]Item, error) {
	for s := f.scope; s != nil; s = s.outer {
		if s.name == o.name {
			return append(dst, s.value...), nil
		}
	}
	if v, ok := f.ctx.Variables[o.name]; ok {
		return append(dst, v...), nil
	}
	switch o.name {
	case "context":
		if f.root[0] == (Item{}) {
			return dst, nil
		}
		return append(dst, f.root[0]), nil
	case "resource":
		return f.appendNode(dst, f.resource()), nil
	case "rootResource":
		if f.ctx.RootResource.Exists() {
			return f.appendNode(dst, f.ctx.RootResource), nil
		}
		return f.appendNode(dst, f.resource()), nil
	case terminologiesName:
		return append(dst, Item{val: String(terminologiesName)}), nil
	}
	if s, ok := constant(o.name); ok {
		return append(dst, Item{val: String(s)}), nil
	}
	return nil, evalError("unknown variable %%%s", o.name)
}

func (f *frame) appendNode(dst []Item, n fhir.Node) []Item {
	if !n.Exists() {
		return dst
	}
	return append(dst, f.eng.Item(n))
}

const terminologiesName = "terminologies"

// constant returns the variables that are fixed texts.
func constant(name string) (string, bool) {
	switch {
	case name == "ucum":
		return ucumSystem, true
	case name == "sct":
		return "http://snomed.info/sct", true
	case name == "loinc":
		return "http://loinc.org", true
	case len(name) > 3 && name[:3] == "vs-":
		return "http://hl7.org/fhir/ValueSet/" + name[3:], true
	case len(name) > 4 && name[:4] == "ext-":
		return "http://hl7.org/fhir/StructureDefinition/" + name[4:], true
	}
	return "", false
}

// builtinVariable reports whether a variable needs no declaration.
func builtinVariable(name string) bool {
	switch name {
	case "context", "resource", "rootResource", terminologiesName:
		return true
	}
	_, ok := constant(name)
	return ok
}
