package definitions

import (
	"iter"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// store holds conformance resources in compressed blocks of a few hundred
// kilobytes. A block is decompressed for each use and not kept: readers are
// compilers of value sets and profiles, which keep their own form.
type store struct {
	data   []byte // all blocks
	blocks []span
	index  map[string]*shelf // by resource type
}

type span struct{ start, end int }

// shelf is one resource type's resources, sorted by block and offset.
type shelf struct {
	entries []entry
	byURL   map[string]int
}

type entry struct {
	url, version string
	block        int
	span
}

func (s *store) block(i int) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(s.data[s.blocks[i].start:s.blocks[i].end], nil)
}

// Conformance iterates over the conformance resources of a type (ValueSet,
// CodeSystem, ConceptMap, StructureDefinition, …) as canonical URL and compact
// JSON without narrative. The bytes may be kept but not changed; keep a copy if
// only a few are wanted, since they share large blocks.
func (m *Model) Conformance(typ string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		sh := m.store.index[typ]
		if sh == nil {
			return
		}
		last, data := -1, []byte(nil)
		for _, e := range sh.entries {
			if e.block != last {
				b, err := m.store.block(e.block)
				if err != nil {
					return // cannot be: Load checked the file's digest
				}
				last, data = e.block, b
			}
			if !yield(e.url, data[e.start:e.end:e.end]) {
				return
			}
		}
	}
}

// Resource returns the JSON of one conformance resource by type and canonical
// URL, optionally with |version; ok is false if there is none or its version is
// another. The bytes are the caller's.
func (m *Model) Resource(typ, canonical string) (data []byte, ok bool) {
	url, version, _ := strings.Cut(canonical, "|")
	sh := m.store.index[typ]
	if sh == nil {
		return nil, false
	}
	i, ok := sh.byURL[url]
	if !ok {
		return nil, false
	}
	e := sh.entries[i]
	if version != "" && version != e.version {
		return nil, false
	}
	b, err := m.store.block(e.block)
	if err != nil {
		return nil, false
	}
	return slices.Clone(b[e.start:e.end]), true
}

// Canonicals returns the URLs of the conformance resources of a type, sorted.
func (m *Model) Canonicals(typ string) []string {
	sh := m.store.index[typ]
	if sh == nil {
		return nil
	}
	urls := make([]string, 0, len(sh.entries))
	for _, e := range sh.entries {
		urls = append(urls, e.url)
	}
	slices.Sort(urls)
	return urls
}
