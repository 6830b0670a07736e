package validate

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// slicing says how the values of an element divide into slices
// (http://hl7.org/fhir/R4/profiling.html#slicing).
type slicing struct {
	discriminators []discriminator
	rules          string // open | closed | openAtEnd
	ordered        bool
}

type discriminator struct {
	kind string // value | pattern | exists | type | profile
	path string
}

func newSlicing(n fhir.Node) *slicing {
	s := &slicing{rules: strings.Clone(n.Get("rules").Str())}
	s.ordered, _ = n.Get("ordered").Bool()
	for d := range n.Get("discriminator").Each() {
		s.discriminators = append(s.discriminators, discriminator{strings.Clone(d.Get("type").Str()), strings.Clone(d.Get("path").Str())})
	}
	return s
}

// slice assigns the values of an element to its slices, checks each value
// against its slice and counts.
func (w *walk) slice(n fhir.Node, r *rule, list []item) {
	sl := r.slicing
	if sl == nil {
		sl = defaultSlicing(r)
	}
	counts := make([]int, len(r.slices))
	last, loose := 0, false
	for _, it := range list {
		k := w.sliceOf(it, r, sl)
		w.push(r.name, it.index)
		switch {
		case k < 0:
			loose = true
			if sl.rules == "closed" {
				w.report(it.n, finding{code: "structure", key: "slice-closed", zh: w.by("该值不属于任何允许的切片"), en: w.byEN("the value is in none of the slices, and the slicing is closed")})
			}
		default:
			counts[k]++
			if sl.ordered && k < last || sl.rules == "openAtEnd" && loose {
				w.report(it.n, finding{code: "structure", key: "slice-order", zh: w.by("切片 " + r.slices[k].slice + " 的顺序不对"), en: w.byEN("the slice " + r.slices[k].slice + " is out of order")})
			}
			last = k
			w.rule(it, r.slices[k])
			if len(r.slices[k].slices) > 0 {
				w.slice(n, r.slices[k], []item{it})
			}
		}
		w.pop()
	}
	for k, s := range r.slices {
		w.count(n, s, counts[k])
	}
}

// defaultSlicing serves differentials that leave it out, as they may: choices
// are sliced by type, extensions by url.
func defaultSlicing(r *rule) *slicing {
	switch {
	case r.el != nil && r.el.Choice:
		return &slicing{rules: "open", discriminators: []discriminator{{"type", "$this"}}}
	case r.name == "extension" || r.name == "modifierExtension":
		return &slicing{rules: "open", discriminators: []discriminator{{"value", "url"}}}
	}
	return &slicing{rules: "open"}
}

// sliceOf returns the first slice the value belongs to, -1 if none.
func (w *walk) sliceOf(it item, r *rule, sl *slicing) int {
	for k, s := range r.slices {
		if w.inSlice(it, s, sl) {
			return k
		}
	}
	return -1
}

func (w *walk) inSlice(it item, s *rule, sl *slicing) bool {
	if len(sl.discriminators) == 0 {
		return it.n.Exists() && w.quiet(func() { w.rule(it, s) })
	}
	for _, d := range sl.discriminators {
		if !w.discriminates(it, s, d) {
			return false
		}
	}
	return true
}

// discriminates checks one discriminator of a slice on a value.
func (w *walk) discriminates(it item, s *rule, d discriminator) bool {
	if d.path == "url" && it.ref != nil && it.ref.Code == "Extension" {
		return it.n.Get("url").Str() == s.extensionURL()
	}
	wants := s.find(d.path)
	found := w.follow(it, s.el, d.path)
	if d.kind == "type" {
		return w.ofTypes(found, wants, s)
	}
	if len(wants) == 0 {
		return false
	}
	switch d.kind {
	case "exists":
		return (len(found) > 0) == (wants[0].max != 0)
	case "profile":
		return w.ofProfiles(found, wants[0])
	}
	for _, want := range wants {
		for _, f := range found {
			if w.hasValue(f, want) {
				return true
			}
		}
	}
	return false
}

// extensionURL is the url a slice of extensions stands for.
func (r *rule) extensionURL() string {
	for _, c := range r.children {
		if c.name == "url" && c.fixed.Exists() {
			return c.fixed.Str()
		}
	}
	for _, t := range r.types {
		for _, p := range t.Profiles {
			url, _, _ := strings.Cut(p, "|")
			return url
		}
	}
	return r.slice
}

// find follows a discriminator's path through the rules: the rules on the
// element it leads to and on its slices; nil if they say nothing there.
func (r *rule) find(path string) []*rule {
	at := []*rule{r}
	for seg := range strings.SplitSeq(path, ".") {
		if seg == "$this" || seg == "resolve()" || strings.HasPrefix(seg, "ofType(") {
			continue
		}
		var next []*rule
		for _, x := range at {
			if url, ok := strings.CutPrefix(seg, "extension("); ok {
				if e := x.extensionSlice(strings.Trim(url, "'\")")); e != nil {
					next = append(next, e)
				}
			} else if c := x.known(strings.TrimSuffix(seg, "[x]")); c != nil {
				next = append(append(next, c), c.slices...)
			}
		}
		at = next
	}
	return at
}

func (r *rule) known(name string) *rule {
	for _, c := range r.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (r *rule) extensionSlice(url string) *rule {
	if e := r.known("extension"); e != nil {
		for _, s := range e.slices {
			if s.extensionURL() == url {
				return s
			}
		}
	}
	return nil
}

// follow evaluates a discriminator's path on a value.
func (w *walk) follow(it item, el *definitions.Element, path string) []fhirpath.Item {
	self := w.v.fpItem(it, el)
	if path == "$this" || path == "" {
		return []fhirpath.Item{self}
	}
	if w.v.fp == nil {
		return nil
	}
	x, err := w.v.paths.compile(w.v.fp, path)
	if err != nil {
		return nil
	}
	out, err := x.EvalItem(w.pathContext(), self)
	if err != nil {
		return nil
	}
	return out
}

func (v *Validator) fpItem(it item, el *definitions.Element) fhirpath.Item {
	if v.fp == nil {
		return fhirpath.Item{}
	}
	return v.fp.ItemOf(it.n, it.shadow, it.typeName(el))
}

// hasValue reports whether a value is what the rule demands: its fixed or
// pattern value, its required binding, and those of its children.
func (w *walk) hasValue(f fhirpath.Item, want *rule) bool {
	n, ok := f.Node()
	if !ok {
		return false
	}
	typ := f.Type()
	if t := f.FHIRType(); t != nil {
		typ = t.Name
	}
	if want.fixed.Exists() && !equal(want.fixed, n) || want.pattern.Exists() && !matches(want.pattern, n) {
		return false
	}
	if b := want.binding; b != nil && b.Strength == "required" && w.v.terms != nil && !w.inSet(n, typ, b.ValueSet) {
		return false
	}
	t := w.v.model.Type(typ)
	if len(want.children) == 0 || t == nil || n.Kind() != fhir.Object {
		return want.fixed.Exists() || want.pattern.Exists() || want.binding != nil || len(want.types) > 0
	}
	return w.quiet(func() { w.conform(n, t, want) })
}

// ofTypes reports whether all values are of the slice's types.
func (w *walk) ofTypes(found []fhirpath.Item, wants []*rule, s *rule) bool {
	want := s
	if len(wants) > 0 {
		want = wants[0]
	}
	types := want.types
	if len(types) == 0 && want.el != nil {
		types = want.el.Types
	}
	for _, f := range found {
		if !w.ofType(f.Type(), types) {
			return false
		}
	}
	return len(found) > 0
}

func (w *walk) ofType(name string, types []definitions.TypeRef) bool {
	for _, t := range types {
		if t.Code == name || t.Code == "Reference" && w.allowed(name, t.Targets) && len(t.Targets) > 0 {
			return true
		}
		if s := w.v.schemas[name]; s != nil && s.typ.Kind == definitions.Resource && s.typ.IsA(t.Code) {
			for _, p := range t.Profiles {
				if base := w.v.profiles.typeOf(p); base != "" && base != name {
					return false
				}
			}
			return true
		}
	}
	return false
}

// ofProfiles reports whether all values conform to one of the slice's profiles.
func (w *walk) ofProfiles(found []fhirpath.Item, want *rule) bool {
	if want == nil || len(found) == 0 {
		return false
	}
	var urls []string
	for _, t := range want.types {
		urls = append(append(urls, t.Profiles...), t.Targets...)
	}
	for _, f := range found {
		n, ok := f.Node()
		if !ok || !w.conformsToAny(n, f.Type(), urls) {
			return false
		}
	}
	return true
}

func (w *walk) conformsToAny(n fhir.Node, typ string, urls []string) bool {
	s := w.v.schemas[typ]
	for _, url := range urls {
		if s != nil && url == s.typ.URL {
			return true
		}
		p, _ := w.v.profiles.profile(url)
		if p != nil && s != nil && w.quiet(func() { w.profile(n, p, s) }) {
			return true
		}
	}
	return false
}
