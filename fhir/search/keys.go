package search

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Keys appends every index key of a current resource to dst: each once, in
// ascending order, sharing one buffer of their own. The layout is in DESIGN.md.
// An unknown type is a fault.NotFound; values that do not parse have no keys.
func (e *Engine) Keys(dst [][]byte, typ, id string, res fhir.Node) ([][]byte, error) {
	t := e.types[typ]
	if t == nil {
		return dst, fault.New(fault.NotFound, "unknown resource type %q", typ)
	}
	x := e.pool.Get().(*emitter)
	defer e.pool.Put(x)
	x.reset(e, id, res)
	var bits [64]byte
	high := 0
	for _, p := range t.params {
		before := len(x.ends)
		if err := x.param(p); err != nil {
			return dst, err
		}
		if len(x.ends) == before {
			continue
		}
		if p.bit < 0 {
			x.start(p, key.Present)
			x.end()
		} else if p.bit < len(bits)*8 {
			bits[p.bit/8] |= 1 << (p.bit % 8)
			high = max(high, p.bit/8+1)
		}
	}
	x.list(t, bits[:high])
	return x.copy(dst), nil
}

// emitter collects the keys of one resource.
type emitter struct {
	e     *Engine
	id    []byte // encoded
	res   fhir.Node
	zone  *time.Location
	buf   []byte
	ends  []int
	nodes []fhir.Node // scratch of param
}

func (x *emitter) reset(e *Engine, id string, res fhir.Node) {
	x.e, x.res, x.zone = e, res, e.cfg.Zone
	x.id = key.AppendID(x.id[:0], id)
	x.buf, x.ends = x.buf[:0], x.ends[:0]
}

// start begins a key of p; appends to x.buf and [emitter.end] make it whole.
func (x *emitter) start(p *param, s key.Space) {
	x.buf = append(binary.BigEndian.AppendUint32(x.buf, p.number), byte(s))
}

func (x *emitter) end() {
	x.buf = append(x.buf, x.id...)
	x.ends = append(x.ends, len(x.buf))
}

// list ends the list key with the presence bits behind the id. A text id is
// closed by a zero there.
func (x *emitter) list(t *typeTable, bits []byte) {
	x.start(t.list, key.List)
	x.buf = append(append(x.buf, x.id...), 0)
	x.buf = append(x.buf, bits...)
	x.ends = append(x.ends, len(x.buf))
}

// copy moves the collected keys out, sorted and each once.
func (x *emitter) copy(dst [][]byte) [][]byte {
	buf := bytes.Clone(x.buf)
	dst = slices.Grow(dst, len(x.ends))
	first, begin := len(dst), 0
	for _, end := range x.ends {
		dst = append(dst, buf[begin:end:end])
		begin = end
	}
	slices.SortFunc(dst[first:], bytes.Compare)
	return dst[:first+len(slices.CompactFunc(dst[first:], bytes.Equal))]
}

// param emits the keys of one parameter.
func (x *emitter) param(p *param) error {
	switch {
	case p.exists:
		x.token(p, "", strconv.FormatBool(x.exists(p)))
		return nil
	case p.slow != nil:
		return x.slow(p)
	case p.paths == nil:
		x.words(p)
		return nil
	}
	for i := range p.paths {
		w := &p.paths[i]
		x.nodes = w.Append(x.nodes[:0], x.res, x.res)
		for _, n := range x.nodes {
			if p.kind == kindComposite {
				x.composite(p, w.Type, n)
			} else {
				x.value(p, w.Type, n)
			}
		}
	}
	return nil
}

func (x *emitter) exists(p *param) bool {
	for i := range p.paths {
		for _, n := range p.paths[i].Append(x.nodes[:0], x.res, x.res) {
			if v, isBool := n.Bool(); !isBool || v {
				return true
			}
		}
	}
	return false
}

// value emits the keys of one value of a FHIR type.
func (x *emitter) value(p *param, typ string, n fhir.Node) {
	if typ == "Extension" {
		if typ, n = x.extension(n); typ == "" {
			return
		}
	}
	switch p.kind {
	case kindToken:
		x.tokens(p, typ, n)
	case kindReference:
		x.reference(p, typ, n)
	case kindString:
		x.strings(p, typ, n)
	case kindDate:
		x.dates(n, typ, func(v key.Interval) { x.interval(p, key.Short, nil, v, key.ShortDate) })
	case kindNumber:
		numbers(n, typ, func(v key.Interval) { x.interval(p, key.Short, nil, v, 0) })
	case kindQuantity:
		x.quantity(p, typ, n)
	case kindURI:
		x.uri(p, n.Str())
	case kindSpecial:
		x.position(p, n)
	}
}

// extension returns the value of an extension and its type.
func (x *emitter) extension(n fhir.Node) (string, fhir.Node) {
	t := x.e.model.Type("Extension")
	for c := n.First(); c.Exists(); c = c.Next() {
		if k := c.Key(); len(k) > 5 && k[:5] == "value" {
			if _, ref := t.JSONElement(k); ref != nil {
				return ref.Code, c
			}
		}
	}
	return "", fhir.Node{}
}
