package param

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
func (c *Catalog) Keys(dst [][]byte, typ, id string, res fhir.Node) ([][]byte, error) {
	t := c.Types[typ]
	if t == nil {
		return dst, fault.New(fault.NotFound, "unknown resource type %q", typ)
	}
	x := c.Reader()
	defer c.Release(x)
	x.Reset(c, id, res)
	var bits [64]byte
	high := 0
	for _, p := range t.order {
		before := len(x.ends)
		if err := x.param(p); err != nil {
			return dst, err
		}
		if len(x.ends) == before {
			continue
		}
		if p.Bit < 0 {
			x.start(p, key.Present)
			x.end()
		} else if p.Bit < len(bits)*8 {
			bits[p.Bit/8] |= 1 << (p.Bit % 8)
			high = max(high, p.Bit/8+1)
		}
	}
	x.list(t, bits[:high])
	return x.copy(dst), nil
}

// TimeKeys appends, as Keys does, the keys that come of meta.lastUpdated: those
// of a resource that has nothing else. Every resource of the type with that
// lastUpdated has them.
func (c *Catalog) TimeKeys(dst [][]byte, typ, id, lastUpdated string) ([][]byte, error) {
	t := c.Types[typ]
	if t == nil {
		return dst, fault.New(fault.NotFound, "unknown resource type %q", typ)
	}
	x := c.Reader()
	defer c.Release(x)
	if err := x.bare(c, typ, id, lastUpdated); err != nil {
		return dst, err
	}
	for _, p := range t.timed() {
		if err := x.param(p); err != nil {
			return dst, err
		}
	}
	return x.copy(dst), nil
}

// timed lists the parameters that have other keys at another time.
func (c *Catalog) timed(t *Table) (list []*Param) {
	x := c.Reader()
	defer c.Release(x)
	for _, p := range t.Params {
		var seen [2][]byte
		for i, at := range []string{"2001-02-03T04:05:06.789Z", "2012-11-10T19:18:17.654Z"} { // alike in no part
			if x.bare(c, t.Name, "x", at) == nil && x.param(p) == nil {
				seen[i] = bytes.Clone(x.buf)
			}
		}
		if !bytes.Equal(seen[0], seen[1]) {
			list = append(list, p)
		}
	}
	return list
}

// bare makes x read a resource that has nothing but lastUpdated.
func (x *Reader) bare(c *Catalog, typ, id, lastUpdated string) error {
	x.json = append(append(append(append(append(x.json[:0], `{"resourceType":"`...), typ...), `","meta":{"lastUpdated":"`...), lastUpdated...), `"}}`...)
	tree, err := x.parser.Parse(x.json)
	if err != nil {
		return err
	}
	x.Reset(c, id, tree.Root())
	return nil
}

// Reader reads what parameters find in one resource. It may be used for one
// after the other, by one goroutine at a time.
type Reader struct {
	c     *Catalog
	id    []byte // encoded
	res   fhir.Node
	zone  *time.Location
	buf   []byte
	ends  []int
	nodes []fhir.Node // scratch of param

	parser fhir.Parser // of bare
	json   []byte
}

// Reset makes x read the resource res with that id.
func (x *Reader) Reset(c *Catalog, id string, res fhir.Node) {
	x.c, x.res, x.zone = c, res, c.cfg.Zone
	x.id = key.AppendID(x.id[:0], id)
	x.buf, x.ends = x.buf[:0], x.ends[:0]
}

// start begins a key of p; appends to x.buf and [Reader.end] make it whole.
func (x *Reader) start(p *Param, s key.Space) {
	x.buf = append(binary.BigEndian.AppendUint32(x.buf, p.number), byte(s))
}

func (x *Reader) end() {
	x.buf = append(x.buf, x.id...)
	x.ends = append(x.ends, len(x.buf))
}

// list ends the list key with the presence bits behind the id. A text id is
// closed by a zero there.
func (x *Reader) list(t *Table, bits []byte) {
	x.start(t.List, key.List)
	x.buf = append(append(x.buf, x.id...), 0)
	x.buf = append(x.buf, bits...)
	x.ends = append(x.ends, len(x.buf))
}

// copy moves the collected keys out, sorted and each once.
func (x *Reader) copy(dst [][]byte) [][]byte {
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
func (x *Reader) param(p *Param) error {
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
			if p.Kind == Composite {
				x.composite(p, w.Type, n)
			} else {
				x.value(p, w.Type, n)
			}
		}
	}
	return nil
}

func (x *Reader) exists(p *Param) bool {
	for i := range p.paths {
		for _, n := range p.paths[i].Append(x.nodes[:0], x.res, x.res) {
			if v, isBool := n.Bool(); !isBool || v {
				return true
			}
		}
	}
	return false
}

// Each yields the keys that a parameter has in the resource until yield returns
// false. They are valid until the next call.
func (x *Reader) Each(p *Param, yield func(k []byte) bool) error {
	x.buf, x.ends = x.buf[:0], x.ends[:0]
	if err := x.param(p); err != nil {
		return err
	}
	begin := 0
	for _, end := range x.ends {
		if !yield(x.buf[begin:end]) {
			return nil
		}
		begin = end
	}
	return nil
}

// Values yields the values of a parameter in the resource with their FHIR types
// until yield returns true, and returns whether it did.
func (x *Reader) Values(p *Param, yield func(typ string, n fhir.Node) bool) bool {
	for i := range p.paths {
		for _, n := range p.paths[i].Append(nil, x.res, x.res) {
			if yield(p.paths[i].Type, n) {
				return true
			}
		}
	}
	return false
}

// value emits the keys of one value of a FHIR type.
func (x *Reader) value(p *Param, typ string, n fhir.Node) {
	if typ == "Extension" {
		if typ, n = x.extension(n); typ == "" {
			return
		}
	}
	switch p.Kind {
	case Token:
		x.tokens(p, typ, n)
	case Reference:
		x.reference(p, typ, n)
	case String:
		x.strings(p, typ, n)
	case Date:
		x.dates(n, typ, func(v key.Interval) { x.interval(p, key.Short, nil, v, key.ShortDate) })
	case Number:
		numbers(n, typ, func(v key.Interval) { x.interval(p, key.Short, nil, v, 0) })
	case Quantity:
		x.quantity(p, typ, n)
	case URI:
		x.uri(p, n.Str())
	case Special:
		x.position(p, n)
	}
}

// extension returns the value of an extension and its type.
func (x *Reader) extension(n fhir.Node) (string, fhir.Node) {
	t := x.c.Model.Type("Extension")
	for c := n.First(); c.Exists(); c = c.Next() {
		if k := c.Key(); len(k) > 5 && k[:5] == "value" {
			if _, ref := t.JSONElement(k); ref != nil {
				return ref.Code, c
			}
		}
	}
	return "", fhir.Node{}
}
