package terminology

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// opLookup is CodeSystem/$lookup.
func (s *Service) opLookup(_, _ string, p Params) ([]byte, error) {
	st := s.state.Load()
	list := p.codings()
	if len(list) == 0 {
		return nil, required("code", "coding")
	}
	c := list[0]
	if c.system == "" {
		return nil, required("system")
	}
	if v := p.str("version"); v != "" {
		c.version = v
	}
	if g := grammarOf(c.system); g != nil {
		if !g.valid(c.code) {
			return nil, codeUnknown(c)
		}
		var o out
		o.text("name", "valueString", c.system)
		o.text("display", "valueString", g.display(c.code))
		return o.done(), nil
	}
	cs := st.codeSystem(c.system, c.version)
	if cs == nil {
		return nil, notFound("code system", c.system)
	}
	i := cs.find(c.code)
	if i < 0 {
		return nil, codeUnknown(c)
	}
	return st.describeConcept(cs, i, p), nil
}

func codeUnknown(c coding) *fault.Error {
	return fault.New(fault.NotFound, "unknown code").With(fault.Issue{Severity: "error", Code: "not-found", Key: "code-unknown",
		Text: "编码系统 " + c.system + " 中没有编码 " + c.code, TextEN: "the code system " + c.system + " has no code " + c.code})
}

// describeConcept writes everything known of a concept; the property parameter
// narrows it.
func (st *state) describeConcept(cs *codeSystem, c int32, p Params) []byte {
	wanted := p.all("property")
	want := func(name string) bool {
		return len(wanted) == 0 || slices.Contains(wanted, name) || slices.Contains(wanted, "*")
	}
	list := st.sources(&part{system: cs.url, cs: cs}, c)
	var o out
	name := cs.title
	if name == "" {
		name = cs.name
	}
	if name == "" {
		name = cs.url
	}
	o.text("name", "valueString", name)
	o.text("version", "valueString", cs.version)
	o.text("display", "valueString", display(list, languages(p.str("displayLanguage"))))
	o.text("code", "valueCode", cs.code(c))
	o.text("system", "valueUri", cs.url)
	o.text("definition", "valueString", cs.definition(c))
	if want("designation") {
		for _, r := range list {
			for _, d := range r.cs.designationsOf(r.c) {
				o.designation(r.cs, d)
			}
		}
	}
	if want("inactive") {
		o.parts("property", func() { o.text("code", "valueCode", "inactive"); o.boolean("value", cs.has(c, flagInactive)) })
	}
	st.edgesOf(&o, cs, c, want)
	for _, r := range list {
		for name, v := range r.cs.propertiesOf(r.c) {
			if want(name) && name != "inactive" && name != "parent" && name != "child" {
				o.parts("property", func() { o.property(name, v) })
			}
		}
	}
	return o.done()
}

// edgesOf writes the parents and children as properties.
func (st *state) edgesOf(o *out, cs *codeSystem, c int32, want func(string) bool) {
	for _, e := range [...]struct {
		name string
		list []int32
	}{{"parent", cs.parents.of(c)}, {"child", cs.children.of(c)}} {
		if !want(e.name) {
			continue
		}
		for _, other := range e.list {
			o.parts("property", func() {
				o.text("code", "valueCode", e.name)
				o.text("value", "valueCode", cs.code(other))
				o.text("description", "valueString", cs.display(other))
			})
		}
	}
}

func (o *out) designation(cs *codeSystem, d designation) {
	o.parts("designation", func() {
		o.text("language", "valueCode", cs.langs.list[d.lang])
		if d.use != "" {
			system, code, _ := strings.Cut(d.use, "|")
			o.coding("use", system, "", code, "")
		}
		o.text("value", "valueString", d.value)
	})
}

func (o *out) property(name string, v property) {
	o.text("code", "valueCode", name)
	switch v.kind {
	case propCoding:
		f := strings.SplitN(v.value, "|", 3)
		o.coding("value", f[0], "", f[1], f[2])
	case propInteger, propBoolean, propDecimal:
		o.raw("value", propertyKinds[v.kind], []byte(v.value))
	default:
		o.text("value", propertyKinds[v.kind], v.value)
	}
}
