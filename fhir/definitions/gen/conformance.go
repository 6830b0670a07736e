package main

import (
	"bytes"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/qihuang-health/qihuang/fhir"
)

// blockSize is the uncompressed size at which a block is closed: large enough
// to compress well, small enough to decompress for a single resource.
const blockSize = 256 << 10

// item is one conformance resource, cleaned.
type item struct {
	typ, url, version string
	json              []byte
	block, start      int
}

// writeConformance encodes the index of the items and returns the blocks.
func writeConformance(w *writer, items []*item) ([]byte, error) {
	slices.SortFunc(items, func(a, b *item) int {
		return strings.Compare(a.typ+" "+a.url, b.typ+" "+b.url)
	})
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var blocks, open []byte
	var sizes []int
	flush := func() {
		if len(open) > 0 {
			n := len(blocks)
			blocks = z.EncodeAll(open, blocks)
			sizes = append(sizes, len(blocks)-n)
			open = open[:0]
		}
	}
	types := map[string][]*item{}
	var order []string
	for _, it := range items {
		if len(open) > blockSize || len(open) > 0 && types[it.typ] == nil {
			flush()
		}
		it.block, it.start = len(sizes), len(open)
		open = append(open, it.json...)
		if types[it.typ] == nil {
			order = append(order, it.typ)
		}
		types[it.typ] = append(types[it.typ], it)
	}
	flush()
	w.uint(len(sizes))
	for _, n := range sizes {
		w.uint(n)
	}
	w.uint(len(order))
	for _, typ := range order {
		w.str(typ)
		w.uint(len(types[typ]))
		for _, it := range types[typ] {
			w.str(it.url, it.version)
			w.uint(it.block)
			w.uint(it.start)
			w.uint(len(it.json))
		}
	}
	return blocks, nil
}

// dropped are members of every kept resource that only matter for publishing.
var dropped = []string{"text", "contact", "meta", "language", "jurisdiction", "useContext", "mapping", "extension", "date", "experimental"}

// droppedElement are members of snapshot elements that no engine reads; the
// differential of profiles keeps them.
var droppedElement = []string{"mapping", "requirements", "alias", "comment", "definition", "isModifierReason",
	"orderMeaning", "meaningWhenMissing", "example"}

// clean returns compact JSON without narrative and publishing data.
func clean(res fhir.Node) []byte {
	isSD := res.ResourceType() == "StructureDefinition"
	var b bytes.Buffer
	writeObject(&b, res, func(m fhir.Node) bool {
		if isSD && m.Key() == "differential" && res.Get("derivation").Str() != "constraint" {
			return false
		}
		return !slices.Contains(dropped, m.Key())
	}, func(m fhir.Node) {
		if isSD && m.Key() == "snapshot" {
			writeSnapshot(&b, m)
		} else {
			writeCompact(&b, m)
		}
	})
	return b.Bytes()
}

func writeSnapshot(b *bytes.Buffer, snap fhir.Node) {
	b.WriteString(`{"element":[`)
	for i, e := range slices.Collect(snap.Get("element").Each()) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeObject(b, e, func(m fhir.Node) bool { return !slices.Contains(droppedElement, m.Key()) },
			func(m fhir.Node) { writeElementMember(b, m) })
	}
	b.WriteString(`]}`)
}

// writeElementMember leaves the XPath out of constraints.
func writeElementMember(b *bytes.Buffer, m fhir.Node) {
	if m.Key() != "constraint" {
		writeCompact(b, m)
		return
	}
	b.WriteByte('[')
	for i, c := range slices.Collect(m.Each()) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeObject(b, c, func(x fhir.Node) bool { return x.Key() != "xpath" }, func(x fhir.Node) { writeCompact(b, x) })
	}
	b.WriteByte(']')
}

// writeObject writes the members that keep accepts.
func writeObject(b *bytes.Buffer, n fhir.Node, keep func(fhir.Node) bool, value func(fhir.Node)) {
	b.WriteByte('{')
	first := true
	for m := range n.Children() {
		if !keep(m) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteByte('"')
		b.WriteString(m.Key())
		b.WriteString(`":`)
		value(m)
	}
	b.WriteByte('}')
}

// writeCompact writes a value without white space.
func writeCompact(b *bytes.Buffer, n fhir.Node) {
	switch n.Kind() {
	case fhir.Object:
		writeObject(b, n, func(fhir.Node) bool { return true }, func(m fhir.Node) { writeCompact(b, m) })
	case fhir.Array:
		b.WriteByte('[')
		for i, it := range slices.Collect(n.Children()) {
			if i > 0 {
				b.WriteByte(',')
			}
			writeCompact(b, it)
		}
		b.WriteByte(']')
	default:
		b.Write(n.Raw())
	}
}
