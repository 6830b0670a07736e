package param

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/path"
	"github.com/qihuang-health/qihuang/fhir/search/text"
)

// MaxText is how many bytes of a folded text a key holds. Where a query or a
// value is longer, or its exact form matters, the resource itself decides.
const MaxText = 256

// tokens emits what a token parameter finds in a value
// (https://hl7.org/fhir/R4/search.html#token).
func (x *Reader) tokens(p *Param, typ string, n fhir.Node) {
	EachCode(typ, n, func(system, code string) { x.token(p, system, code) })
	switch typ {
	case "Coding":
		x.label(p, n.Get("display").Str())
	case "CodeableConcept":
		x.label(p, n.Get("text").Str())
		for c := range n.Get("coding").Each() {
			x.label(p, c.Get("display").Str())
		}
	case "Identifier":
		x.label(p, n.Path("type", "text").Str())
		x.ofType(p, n)
	}
}

// EachCode yields the codes of a value with their systems, "" where a type has
// none; either may be missing.
func EachCode(typ string, n fhir.Node, yield func(system, code string)) {
	switch typ {
	case "Coding":
		yield(n.Get("system").Str(), n.Get("code").Str())
	case "CodeableConcept":
		for c := range n.Get("coding").Each() {
			yield(c.Get("system").Str(), c.Get("code").Str())
		}
	case "Identifier", "ContactPoint":
		yield(n.Get("system").Str(), n.Get("value").Str())
	default:
		if k := n.Kind(); k == fhir.String || k == fhir.Bool || k == fhir.Number {
			yield("", n.Str())
		}
	}
}

// token emits one coded value.
func (x *Reader) token(p *Param, system, code string) {
	if code == "" && system == "" {
		return
	}
	if code != "" {
		x.start(p, key.Token)
		x.buf = key.AppendToken(x.buf, system, text.Cut(code, MaxText))
		x.end()
	}
	if system != "" {
		h := key.Hash(system)
		x.start(p, key.System)
		x.buf = append(x.buf, h[:]...)
		x.end()
	}
}

// label emits the text of a coded value, for :text.
func (x *Reader) label(p *Param, s string) {
	if s = text.Cut(text.Fold(s), MaxText); s != "" {
		x.start(p, key.Label)
		x.buf = key.AppendText(x.buf, s)
		x.end()
	}
}

// ofType emits an identifier's value with the codes of its type.
func (x *Reader) ofType(p *Param, n fhir.Node) {
	value := text.Cut(n.Get("value").Str(), MaxText)
	if value == "" {
		return
	}
	for c := range n.Path("type").Get("coding").Each() {
		h := key.Hash(c.Get("system").Str(), c.Get("code").Str())
		x.start(p, key.OfType)
		x.buf = append(key.AppendText(x.buf, value), h[:]...)
		x.end()
	}
}

// reference emits where a reference leads: a resource of ours, another
// address, or an identifier.
func (x *Reader) reference(p *Param, typ string, n fhir.Node) {
	switch typ {
	case "Reference":
		x.literal(p, n.Get("reference").Str())
		if id := n.Get("identifier"); id.Exists() {
			x.start(p, key.RefIdent)
			x.buf = key.AppendToken(x.buf, id.Get("system").Str(), text.Cut(id.Get("value").Str(), MaxText))
			x.end()
		}
	case "canonical", "uri", "url", "oid", "uuid":
		s := n.Str()
		x.canonical(p, s)
		if url, _, versioned := strings.Cut(s, "|"); versioned {
			x.canonical(p, url)
		}
	default:
		x.targets(typ, n, func(t, id string) { x.local(p, t, id) })
	}
}

// targets yields the resources of ours a value leads to: a Reference, or a
// resource that stands inside (Bundle.entry).
func (x *Reader) targets(typ string, n fhir.Node, yield func(typ, id string)) {
	t, id := n.ResourceType(), n.Get("id").Str()
	if typ == "Reference" {
		t, id = x.c.Target(n.Get("reference").Str())
	}
	if t != "" && id != "" {
		yield(t, id)
	}
}

// Target returns the resource of ours that a literal reference names, "" if it
// names none.
func (c *Catalog) Target(ref string) (typ, id string) {
	local, ok := c.local(ref)
	if !ok {
		return "", ""
	}
	return path.Split(local)
}

func (x *Reader) literal(p *Param, ref string) {
	if typ, id := x.c.Target(ref); typ != "" {
		x.local(p, typ, id)
	} else if ref != "" && ref[0] != '#' {
		x.canonical(p, ref)
	}
}

// local takes our own base address from a reference; ok is false if it is an
// address elsewhere.
func (c *Catalog) local(ref string) (string, bool) {
	if !strings.Contains(ref, ":") {
		return ref, true
	}
	if c.cfg.Base == "" {
		return ref, false
	}
	rest, ok := strings.CutPrefix(ref, strings.TrimSuffix(c.cfg.Base, "/")+"/")
	return rest, ok
}

func (x *Reader) local(p *Param, typ, id string) {
	x.start(p, key.Ref)
	x.buf = AppendTarget(x.buf, typ, id)
	x.end()
}

// AppendTarget appends where a reference leads, as keys in [key.Ref] have it.
func AppendTarget(dst []byte, typ, id string) []byte {
	return key.AppendText(key.AppendText(dst, typ), id)
}

func (x *Reader) canonical(p *Param, url string) {
	if url == "" {
		return
	}
	x.start(p, key.Canonical)
	x.buf = key.AppendText(x.buf, text.Cut(url, 2*MaxText))
	x.end()
}

// strings emits the parts of a name or address, or a text, each on its own
// (https://hl7.org/fhir/R4/search.html#string).
func (x *Reader) strings(p *Param, typ string, n fhir.Node) {
	EachString(typ, n, func(s string) {
		folded := text.Cut(text.Fold(s), MaxText)
		if folded == "" {
			return
		}
		x.start(p, key.String)
		x.buf = key.AppendText(x.buf, folded)
		x.end()
		if !p.Spoken && !spoken(typ, p.Code) {
			return
		}
		for _, reading := range text.Pinyin(folded) {
			x.start(p, key.Pinyin)
			x.buf = key.AppendText(x.buf, reading)
			x.end()
		}
	})
}

// spoken tells the standard parameters that are also found by pinyin: names and
// addresses.
func spoken(typ, code string) bool {
	return typ == "HumanName" || typ == "Address" || code == "name" || code == "family" || code == "given" ||
		code == "title" || strings.HasPrefix(code, "address")
}

// EachString yields the strings of a value that a string parameter searches.
func EachString(typ string, n fhir.Node, yield func(string)) {
	all := func(names ...string) {
		for _, name := range names {
			for c := range n.Get(name).Each() {
				if c.Kind() == fhir.String {
					yield(c.Str())
				}
			}
		}
	}
	switch typ {
	case "HumanName":
		all("text", "family", "given", "prefix", "suffix")
	case "Address":
		all("text", "line", "city", "district", "state", "country", "postalCode")
	case "CodeableConcept":
		all("text")
		for c := range n.Get("coding").Each() {
			if s := c.Get("display").Str(); s != "" {
				yield(s)
			}
		}
	default:
		if n.Kind() == fhir.String {
			yield(n.Str())
		}
	}
}

// uri emits a uri, and a canonical with a version without it too.
func (x *Reader) uri(p *Param, s string) {
	if s == "" {
		return
	}
	x.start(p, key.URI)
	x.buf = key.AppendText(x.buf, text.Cut(s, 2*MaxText))
	x.end()
	if url, _, versioned := strings.Cut(s, "|"); versioned {
		x.start(p, key.URI)
		x.buf = key.AppendText(x.buf, text.Cut(url, 2*MaxText))
		x.end()
	}
}
