package mapping

import (
	"bytes"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// class says where a value comes from. An object stands only if one of its
// values of the highest class it has is there: a telecom with its system and
// use, but without the number of the message, is nothing.
type class uint8

const (
	fixed class = iota
	fromVariable
	fromMessage
)

const noLimit = 1 << 30

// node writes values: up to max of them, comma between; it returns how many.
// What it began and did not finish is cut off again.
type node interface {
	emit(r *run, dst []byte, max int) ([]byte, int, error)
	class() class
}

// literal is a value that stands in the map.
type literal struct {
	json []byte
	line int
}

func (l *literal) class() class { return fixed }

func (l *literal) emit(r *run, dst []byte, _ int) ([]byte, int, error) {
	if r.tracer != nil {
		r.tracer.literal(l)
	}
	return append(dst, l.json...), 1, nil
}

// value is an expression in the place of a primitive or a Reference.
type value struct {
	expr      *expression
	typ       *definitions.Type // primitive; nil: untyped
	reference bool
	cls       class
}

func (v *value) class() class { return v.cls }

func (v *value) emit(r *run, dst []byte, limit int) ([]byte, int, error) {
	items, err := v.expr.eval(r, r.buffer())
	if err != nil {
		return dst, 0, err
	}
	defer r.recycle(items)
	n := 0
	for _, it := range items {
		if n == limit {
			break
		}
		before := len(dst)
		if n > 0 {
			dst = append(dst, ',')
		}
		var ok bool
		if dst, ok = v.one(r, dst, it); !ok {
			dst = dst[:before]
			continue
		}
		if r.tracer != nil {
			r.tracer.value(r, v, it, n, dst[before:])
		}
		n++
	}
	return dst, n, nil
}

func (v *value) one(r *run, dst []byte, it fhirpath.Item) ([]byte, bool) {
	if v.reference {
		text := textOf(it)
		if text == "" {
			return dst, false
		}
		return append(fhir.AppendString(append(dst, `{"reference":`...), text), '}'), true
	}
	out, ok := r.primitive(dst, it, v.typ)
	if !ok && textOf(it) != "" {
		r.note("value", "bad-value", r.placeOf(it), "值不能作为 "+v.typ.Name+" 写入，已略去", v.expr)
	}
	return out, ok
}

// sequence is a list of templates.
type sequence struct {
	items []node
	cls   class
}

func (s *sequence) class() class { return s.cls }

func (s *sequence) emit(r *run, dst []byte, limit int) ([]byte, int, error) {
	n := 0
	for _, x := range s.items {
		if n == limit {
			break
		}
		before := len(dst)
		if n > 0 {
			dst = append(dst, ',')
		}
		r.shift(n)
		out, k, err := x.emit(r, dst, limit-n)
		r.shift(-n)
		if err != nil {
			return dst[:before], n, err
		}
		if k == 0 {
			dst = out[:before]
			continue
		}
		dst, n = out, n+k
	}
	return dst, n, nil
}

// loop gives its body a focus, variables and a condition.
type loop struct {
	each    []*expression // nil: the focus stays
	segment string
	when    *expression
	lets    []binding
	body    node
	cls     class
}

func (l *loop) class() class { return l.cls }

func (l *loop) emit(r *run, dst []byte, limit int) ([]byte, int, error) {
	n := 0
	err := r.forEach(l.each, l.segment, l.when, l.lets, func() error {
		if n >= limit {
			return nil
		}
		before := len(dst)
		if n > 0 {
			dst = append(dst, ',')
		}
		r.shift(n)
		out, k, err := l.body.emit(r, dst, limit-n)
		r.shift(-n)
		if dst = out; k == 0 || err != nil {
			dst = dst[:before]
		}
		n += k
		return err
	})
	return dst, n, err
}

// object is a complex value.
type object struct {
	typ      *definitions.Type // nil: untyped
	line     int
	members  []member
	required []*definitions.Element
	cls      class
}

type member struct {
	key     string
	prefix  []byte // "key":
	list    bool
	element *definitions.Element
	node    node
}

func (o *object) class() class { return o.cls }

func (o *object) emit(r *run, dst []byte, _ int) ([]byte, int, error) {
	before, mark := len(dst), r.mark()
	dst, ok, err := o.fields(r, append(dst, '{'))
	if err != nil || !ok {
		r.cut(mark)
		return dst[:before], 0, err
	}
	return append(dst, '}'), 1, nil
}

// fields writes the members of an object that dst has begun; ok is false if the
// object is nothing.
func (o *object) fields(r *run, dst []byte) (out []byte, ok bool, err error) {
	begun := len(dst)
	live := o.cls == fixed
	var have uint32
	for i := range o.members {
		m := &o.members[i]
		before := len(dst)
		if c := dst[before-1]; c != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, m.prefix...)
		limit := 1
		if m.list {
			dst, limit = append(dst, '['), noLimit
		}
		r.enter(m)
		var n int
		dst, n, err = m.node.emit(r, dst, limit)
		r.leave()
		if err != nil {
			return dst[:begun], false, err
		}
		if n == 0 {
			dst = dst[:before]
			continue
		}
		if m.list {
			dst = append(dst, ']')
		}
		live = live || m.node.class() == o.cls
		for j, el := range o.required {
			if el == m.element {
				have |= 1 << j
			}
		}
	}
	if !live || bytes.HasSuffix(dst, []byte{'{'}) {
		return dst[:begun], false, nil
	}
	for j, el := range o.required {
		if have&(1<<j) == 0 {
			r.missing(o, el)
			return dst[:begun], false, nil
		}
	}
	return dst, true, nil
}

// missing notes an object that was left out because it lacks what FHIR demands.
func (r *run) missing(o *object, el *definitions.Element) {
	place := ""
	if n, ok := r.focus.Node(); ok {
		place = r.src.Place(n)
	}
	r.out.Findings = append(r.out.Findings, fault.Issue{Severity: "information", Code: "incomplete", Key: "map-incomplete",
		Text: o.typ.Name + " 没有 " + el.Name + "，已略去", Expression: place, Line: o.line})
}
