// Package key is the byte layout of the search index: how a parameter's values
// become ordered keys, and back. It is pure and knows no resource. The whole
// layout is described in DESIGN.md one folder up.
package key

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
)

// Space is the byte after the prefix that keeps the orders of one parameter apart.
type Space byte

// The spaces. Every key ends with the resource's id (see [AppendID]).
const (
	List      Space = 'L' // id | presence bits: every resource of a type
	Token     Space = 't' // code 0 | system hash
	System    Space = 's' // system hash
	OfType    Space = 'o' // value 0 | hash of type system and code
	Label     Space = 'x' // folded text 0: text of a coded value
	Ref       Space = 'r' // target type 0 | target id 0
	RefIdent  Space = 'i' // value 0 | system hash
	Canonical Space = 'u' // url 0: canonical and absolute references
	String    Space = 'c' // folded text 0
	Pinyin    Space = 'p' // pinyin or its initials 0
	Short     Space = 'd' // low | high: points and short ranges
	LongLow   Space = 'e' // low | high: long ranges by their beginning
	LongHigh  Space = 'f' // high | low: long ranges by their end
	UnitShort Space = 'D' // unit hash | low | high
	UnitLow   Space = 'E' // unit hash | low | high
	UnitHigh  Space = 'F' // unit hash | high | low
	URI       Space = 'U' // uri 0
	Composite Space = 'C' // first component | second component
	Present   Space = 'M' // presence of a run-time parameter
	Word      Space = 'w' // word 0
	Position  Space = 'n' // latitude | longitude
)

// PrefixLen is the length of what [Prefix] returns.
const PrefixLen = 5

// Prefix returns the first bytes of the keys of one parameter of one type in
// one space: four bytes of hash and the space. The hash of two different
// parameters may meet; whoever builds the table of parameters must refuse that
// (see [Number]).
func Prefix(typ, code string, s Space) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, PrefixLen), Number(typ, code)), byte(s))
}

// Number is the hash of a parameter of a type, the first four bytes of its keys.
func Number(typ, code string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(typ))
	_, _ = h.Write([]byte{'.'})
	_, _ = h.Write([]byte(code))
	return h.Sum32()
}

// AppendText appends s so that it sorts as its bytes do and ends with a zero.
// Zero and one bytes inside are escaped by a one.
func AppendText(dst []byte, s string) []byte { return append(AppendStem(dst, s), 0) }

// AppendStem appends s like [AppendText] without the end: the beginning of the
// keys of every text that starts with s.
func AppendStem(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] < 2 {
			return appendEscaped(append(dst, s[:i]...), s[i:])
		}
	}
	return append(dst, s...)
}

func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] < 2 {
			dst = append(dst, 1, s[i]+1)
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}

// CutText splits b behind its first text; ok is false if there is no end.
// The text stays escaped.
func CutText(b []byte) (text, rest []byte, ok bool) { return cut(b) }

// Hash returns eight bytes that stand for a code system, unit or other name
// that is only ever compared for equality. The empty name is all zero.
func Hash(parts ...string) [8]byte {
	var out [8]byte
	if len(parts) == 1 && parts[0] == "" {
		return out
	}
	h := uint64(14695981039346656037)
	for i, s := range parts {
		if i > 0 {
			h = (h ^ 0xff) * 1099511628211
		}
		for j := 0; j < len(s); j++ {
			h = (h ^ uint64(s[j])) * 1099511628211
		}
	}
	binary.BigEndian.PutUint64(out[:], h)
	return out
}

// HashLen is the length of a [Hash].
const HashLen = 8

// AppendToken appends a coded value: its code, then the hash of its system.
func AppendToken(dst []byte, system, code string) []byte {
	h := Hash(system)
	return append(AppendText(dst, code), h[:]...)
}

// Next returns the smallest key above every key that starts with prefix, nil
// if there is none.
func Next(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			up := bytes.Clone(prefix[:i+1])
			up[i]++
			return up
		}
	}
	return nil
}

func cut(b []byte) (text, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}
