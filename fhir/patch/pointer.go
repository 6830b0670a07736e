package patch

import (
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// pointer is a parsed JSON Pointer (RFC 6901): names or indexes as text.
type pointer []string

// parsePointer parses "", "/a/0/b~1c". ok is false for bad syntax.
func parsePointer(s string) (p pointer, ok bool) {
	if s == "" {
		return nil, true
	}
	if s[0] != '/' {
		return nil, false
	}
	p = strings.Split(s[1:], "/")
	for i, tok := range p {
		if !strings.Contains(tok, "~") {
			continue
		}
		for j := 0; j < len(tok); j++ {
			if tok[j] == '~' && (j+1 == len(tok) || tok[j+1] != '0' && tok[j+1] != '1') {
				return nil, false
			}
		}
		p[i] = strings.ReplaceAll(strings.ReplaceAll(tok, "~1", "/"), "~0", "~")
	}
	return p, true
}

// index reads an array index: no sign, no leading zeros; n stands for "-" where
// appending is allowed.
func index(tok string, n int, appending bool) (i int, ok bool) {
	if tok == "-" && appending {
		return n, true
	}
	if tok == "" || len(tok) > 9 || len(tok) > 1 && tok[0] == '0' {
		return 0, false
	}
	for j := range len(tok) {
		if tok[j] < '0' || tok[j] > '9' {
			return 0, false
		}
	}
	i, err := strconv.Atoi(tok)
	return i, err == nil && (i < n || i == n && appending)
}

// step goes from a node to its member or item, absent if there is none.
func step(n fhir.Node, tok string) fhir.Node {
	switch n.Kind() {
	case fhir.Object:
		return n.Get(tok)
	case fhir.Array:
		if i, ok := index(tok, n.Len(), false); ok {
			return n.At(i)
		}
	}
	return fhir.Node{}
}

// at walks the pointer; missing is how many steps could be made if it ends early.
func (p pointer) at(n fhir.Node) (found fhir.Node, steps int) {
	for i, tok := range p {
		if n = step(n, tok); !n.Exists() {
			return n, i
		}
	}
	return n, len(p)
}

// place is the FHIRPath of the pointer, for messages: Patient.name[0].given.
func (p pointer) place(root fhir.Node) string {
	var b strings.Builder
	b.WriteString(root.ResourceType())
	n := root
	for _, tok := range p {
		if n.Kind() == fhir.Array && tok != "-" {
			b.WriteString("[" + clip(tok) + "]")
		} else if tok != "-" {
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(clip(tok))
		}
		n = step(n, tok)
	}
	return b.String()
}

// trace finds the pointer to a node of the tree, by position.
func trace(root, target fhir.Node) (pointer, bool) {
	var p pointer
	at := target.Offset()
	for n := root; !n.Same(target); {
		next := fhir.Node{}
		i := 0
		for c := n.First(); c.Exists() && c.Offset() <= at; c = c.Next() {
			if at < c.Offset()+len(c.Raw()) {
				next = c
				break
			}
			i++
		}
		if !next.Exists() {
			return nil, false
		}
		if n.Kind() == fhir.Array {
			p = append(p, strconv.Itoa(i))
		} else {
			p = append(p, next.Key())
		}
		n = next
	}
	return p, true
}

// has reports whether q begins with p.
func (p pointer) has(q pointer) bool {
	return len(q) >= len(p) && slices.Equal(p, q[:len(p)])
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
