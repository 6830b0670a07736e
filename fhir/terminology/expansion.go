package terminology

import (
	"sort"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxDepth bounds value sets that include value sets.
const maxDepth = 24

// expansion is a value set worked out against the code systems of one state:
// the codes that can be listed, in order, and testers for those that cannot. It
// is immutable.
type expansion struct {
	vs     *valueSet
	parts  []part
	items  []item
	byCode []int32   // items by code, then system
	open   []*tester // include clauses with codes that cannot be listed
	not    []*tester // exclude clauses
}

// part is the source of a run of items.
type part struct {
	system, version string
	cs              *codeSystem // the items' concepts are numbered in it
	base            *codeSystem // the loaded system if cs only lists codes of it
}

type item struct {
	part    int32
	concept int32
}

func (x *expansion) code(it item) string   { return x.parts[it.part].cs.code(it.concept) }
func (x *expansion) system(it item) string { return x.parts[it.part].system }

// inactive and abstract look at the system itself where the item is listed.
func (x *expansion) flag(it item, f uint8) bool {
	cs, c := x.source(it)
	return cs.has(c, f)
}

// source returns the concept in the loaded system if it has it, else where it
// was listed.
func (x *expansion) source(it item) (*codeSystem, int32) {
	p := &x.parts[it.part]
	if p.base != nil {
		if c := p.base.find(p.cs.code(it.concept)); c >= 0 {
			return p.base, c
		}
	}
	return p.cs, it.concept
}

// find returns the item of a code; with an empty system the first of any. ok is
// false if it is not listed.
func (x *expansion) find(system, code string) (item, bool) {
	i := sort.Search(len(x.byCode), func(i int) bool { return x.code(x.items[x.byCode[i]]) >= code })
	for ; i < len(x.byCode); i++ {
		it := x.items[x.byCode[i]]
		if x.code(it) != code {
			break
		}
		if system == "" || x.system(it) == system {
			return it, true
		}
	}
	return x.findFolded(system, code)
}

// findFolded looks in the systems whose codes ignore case.
func (x *expansion) findFolded(system, code string) (item, bool) {
	for i := range x.parts {
		p := &x.parts[i]
		cs := p.cs
		if p.base != nil {
			cs = p.base
		}
		if !cs.ignoreCase || system != "" && p.system != system {
			continue
		}
		c := cs.find(code)
		if c < 0 || cs.code(c) == code {
			continue
		}
		return x.find(p.system, cs.code(c))
	}
	return item{}, false
}

// has decides membership; an empty system asks for the code alone.
func (x *expansion) has(system, code string) Verdict {
	if _, ok := x.find(system, code); ok {
		return Yes
	}
	v := No
	for _, t := range x.open {
		switch t.has(system, code) {
		case Yes:
			if !x.excluded(system, code) {
				return Yes
			}
		case Unknown:
			v = Unknown
		}
	}
	return v
}

func (x *expansion) excluded(system, code string) bool {
	for _, t := range x.not {
		if t.has(system, code) == Yes {
			return true
		}
	}
	return false
}

// expand works a value set out. Errors are fault.Invalid for definitions that
// make no sense and fault.TooCostly for cycles.
func (st *state) expand(vs *valueSet, depth int) (*expansion, error) {
	if depth > maxDepth {
		return nil, fault.New(fault.TooCostly, "value set %s: includes nested deeper than %d or in a circle", vs.url, maxDepth)
	}
	x := &expansion{vs: vs}
	for i := range vs.exclude {
		t, err := st.newTester(&vs.exclude[i], depth)
		if err != nil {
			return nil, err
		}
		x.not = append(x.not, t)
	}
	for i := range vs.include {
		t, err := st.newTester(&vs.include[i], depth)
		if err != nil {
			return nil, err
		}
		if x.enumerate(t) {
			x.open = append(x.open, t)
		}
	}
	x.finish()
	return x, nil
}

// enumerate appends what the clause lists; open says that there is more.
func (x *expansion) enumerate(t *tester) (open bool) {
	c := t.clause
	if c.system == "" {
		if len(t.refs) == 0 {
			return t.missing
		}
		x.union(t)
		for _, r := range t.refs {
			open = open || len(r.open) > 0
		}
		return open || t.missing
	}
	p := part{system: c.system, version: c.version, cs: t.cs}
	switch {
	case c.listed != nil:
		p.cs, p.base = c.listed, t.cs
	case t.grammar != nil || t.cs == nil:
		return true
	default:
		open = !t.cs.complete()
	}
	if p.version == "" && t.cs != nil {
		p.version = t.cs.version
	}
	x.parts = append(x.parts, p)
	x.list(t, int32(len(x.parts)-1))
	return open || t.missing
}

// list appends the concepts of a part that pass the clause.
func (x *expansion) list(t *tester, pi int32) {
	p := x.parts[pi]
	for c := int32(0); c < p.cs.len(); c++ {
		if p.base != nil && p.base.complete() && p.base.find(p.cs.code(c)) < 0 {
			continue // lists a code its system does not have
		}
		if len(t.matches)+len(t.refs) > 0 || t.missing {
			if t.has(p.system, p.cs.code(c)) != Yes {
				continue
			}
		}
		x.items = append(x.items, item{pi, c})
	}
}

// union appends the codes of the first value set that are in all others.
func (x *expansion) union(t *tester) {
	first := t.refs[0]
	at := int32(len(x.parts))
	x.parts = append(x.parts, first.parts...)
	for _, it := range first.items {
		if len(t.refs) > 1 || t.missing {
			if t.has(first.system(it), first.code(it)) != Yes {
				continue
			}
		}
		x.items = append(x.items, item{at + it.part, it.concept})
	}
}

// finish drops doubles and what is excluded, and sorts.
func (x *expansion) finish() {
	if len(x.not) > 0 || x.vs.dropInactive {
		kept := x.items[:0]
		for _, it := range x.items {
			if x.excluded(x.system(it), x.code(it)) || x.vs.dropInactive && x.flag(it, flagInactive) {
				continue
			}
			kept = append(kept, it)
		}
		x.items = kept
	}
	order := x.sorted()
	drop := map[int32]bool{}
	for i := 1; i < len(order); i++ {
		a, b := x.items[order[i-1]], x.items[order[i]]
		if x.code(a) == x.code(b) && x.system(a) == x.system(b) {
			drop[order[i]] = true
		}
	}
	if len(drop) > 0 {
		kept := make([]item, 0, len(x.items)-len(drop))
		for i, it := range x.items {
			if !drop[int32(i)] {
				kept = append(kept, it)
			}
		}
		x.items = kept
		order = x.sorted()
	}
	x.byCode = order
}

func (x *expansion) sorted() []int32 {
	order := make([]int32, len(x.items))
	for i := range order {
		order[i] = int32(i)
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := x.items[order[i]], x.items[order[j]]
		if ca, cb := x.code(a), x.code(b); ca != cb {
			return ca < cb
		}
		return x.system(a) < x.system(b)
	})
	return order
}
