package terminology

import "strings"

// arena keeps many short strings in one block: 4 bytes of overhead each
// instead of a header and an allocation. String i is text[off[i]:off[i+1]].
type arena struct {
	text string
	off  []uint32
}

func (a *arena) at(i int32) string { return a.text[a.off[i]:a.off[i+1]] }

func (a *arena) len() int32 { return int32(len(a.off) - 1) }

// arenaBuilder collects the strings of an arena in order.
type arenaBuilder struct {
	text strings.Builder
	off  []uint32
}

// add appends s and returns its number.
func (b *arenaBuilder) add(s string) int32 {
	if len(b.off) == 0 {
		b.off = append(b.off, 0)
	}
	b.text.WriteString(s)
	b.off = append(b.off, uint32(b.text.Len()))
	return int32(len(b.off) - 2)
}

func (b *arenaBuilder) build() arena {
	if len(b.off) == 0 {
		b.off = append(b.off, 0)
	}
	return arena{text: strings.Clone(b.text.String()), off: append([]uint32(nil), b.off...)}
}

// names numbers the few distinct strings of a vocabulary (property codes,
// languages) so that rows hold a small integer.
type names struct {
	list []string
}

func (n *names) id(s string) uint16 {
	for i, x := range n.list {
		if x == s {
			return uint16(i)
		}
	}
	n.list = append(n.list, strings.Clone(s))
	return uint16(len(n.list) - 1)
}
