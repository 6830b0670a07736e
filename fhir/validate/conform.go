package validate

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

// maxNesting bounds profiles that lead to profiles on the same value.
const maxNesting = 16

// declaredProfiles checks the profiles of meta.profile and of the options.
func (w *walk) declaredProfiles(n fhir.Node, s *schema) {
	done := map[string]bool{}
	for _, url := range w.opts.Profiles {
		done[url] = true
		p, err := w.v.profiles.profile(url)
		if p == nil {
			f := finding{code: "not-found", key: "profile-unknown", zh: "未知的 profile：" + url, en: "unknown profile: " + url}
			if err != nil {
				f.hint = err.Error()
			}
			w.report(n, f)
			continue
		}
		w.profile(n, p, s)
	}
	w.metaProfiles(n, s, done)
}

// metaProfiles checks the profiles a resource claims; one that is not known is
// a warning, since it may be known to others.
func (w *walk) metaProfiles(n fhir.Node, s *schema, done map[string]bool) {
	i := 0
	for c := range n.Get("meta").Get("profile").Each() {
		if url := c.Str(); !done[url] {
			done[url] = true
			p, err := w.v.profiles.profile(url)
			if p == nil {
				w.push("meta", -1)
				w.push("profile", i)
				f := finding{severity: "warning", code: "not-found", key: "profile-unknown", zh: "未知的 profile：" + url, en: "unknown profile: " + url}
				if err != nil {
					f.hint = err.Error()
				}
				w.report(c, f)
				w.pop()
				w.pop()
			} else {
				w.profile(n, p, s)
			}
		}
		i++
	}
}

// profile checks a value against a profile.
func (w *walk) profile(n fhir.Node, p *profile, s *schema) {
	if !s.typ.IsA(p.typ.Name) {
		w.report(n, finding{code: "structure", key: "profile-type", zh: "profile " + p.url + " 用于 " + p.typ.Name + "，不能用于 " + s.typ.Name,
			en: "the profile " + p.url + " is on " + p.typ.Name + ", not on " + s.typ.Name})
		return
	}
	if w.nesting >= maxNesting {
		return
	}
	w.nesting++
	outer := w.profileURL
	w.profileURL = p.url
	w.evaluate(n, fhir.Node{}, s.typ.Name, p.root.rules)
	w.conform(n, s.typ, p.root)
	w.profileURL = outer
	w.nesting--
}

// item is one value of an element as profiles see it.
type item struct {
	n, shadow fhir.Node
	ref       *definitions.TypeRef
	index     int // -1 = the element does not repeat
}

// typeName is the item's FHIR type.
func (it item) typeName(el *definitions.Element) string {
	if el.Content != nil {
		return el.Content.Name
	}
	if it.ref == nil {
		return ""
	}
	if it.ref.Code == "Resource" {
		return it.n.ResourceType()
	}
	return it.ref.Code
}

// items lists the values of an element in an object of a type.
func items(n fhir.Node, typ *definitions.Type, name string) []item {
	var out []item
	for c := n.First(); c.Exists(); c = c.Next() {
		key := c.Key()
		el, ref := typ.JSONElement(key)
		if el == nil || el.Name != name {
			continue
		}
		var shadows fhir.Node
		if key[0] == '_' {
			if n.Get(key[1:]).Exists() {
				continue // beside its value
			}
			shadows = c
		} else if ref.Primitive() {
			shadows = n.Get("_" + key)
		}
		out = appendItems(out, c, shadows, ref)
	}
	return out
}

// appendItems pairs the values of one member with those of its `_name`; value
// is that member itself if there is no other.
func appendItems(out []item, value, shadows fhir.Node, ref *definitions.TypeRef) []item {
	i, alone, shadow := 0, value.Same(shadows), shadows
	if value.Kind() == fhir.Array {
		shadow = shadows.First()
	}
	for v := range value.Each() {
		it := item{n: v, shadow: shadow, ref: ref, index: -1}
		if value.Kind() == fhir.Array {
			it.index, shadow = i, shadow.Next()
		}
		i++
		if alone {
			it.n, it.shadow = fhir.Node{}, v
			if v.Kind() != fhir.Object {
				continue
			}
		}
		out = append(out, it)
	}
	return out
}

// conform checks an object against the rules on its elements.
func (w *walk) conform(n fhir.Node, typ *definitions.Type, r *rule) {
	for _, c := range r.children {
		list := items(n, typ, c.name)
		w.count(n, c, len(list))
		for i := range list {
			w.push(c.name, list[i].index)
			w.rule(list[i], c)
			w.pop()
		}
		if len(c.slices) > 0 {
			w.slice(n, c, list)
		}
	}
}

// count checks the cardinality of an element or slice.
func (w *walk) count(n fhir.Node, r *rule, have int) {
	what := strings.TrimPrefix(r.path, r.typeRoot()+".")
	if have < r.min {
		w.reportAt(n, r.name, finding{code: "required", key: "profile-min", zh: w.by("元素 " + what + " 至少 " + strconv.Itoa(r.min) + " 个，实有 " + strconv.Itoa(have) + " 个"),
			en: w.byEN("at least " + strconv.Itoa(r.min) + " of " + what + ", found " + strconv.Itoa(have))})
	}
	if r.max >= 0 && have > r.max {
		w.reportAt(n, r.name, finding{code: "structure", key: "profile-max", zh: w.by("元素 " + what + " 最多 " + strconv.Itoa(r.max) + " 个，实有 " + strconv.Itoa(have) + " 个"),
			en: w.byEN("at most " + strconv.Itoa(r.max) + " of " + what + ", found " + strconv.Itoa(have))})
	}
}

func (r *rule) typeRoot() string {
	root, _, _ := strings.Cut(r.path, ".")
	return root
}

// by and byEN name the profile a finding comes from.
func (w *walk) by(s string) string   { return s + "（" + w.profileURL + "）" }
func (w *walk) byEN(s string) string { return s + " (" + w.profileURL + ")" }

// rule checks one value against what a profile says of it.
func (w *walk) rule(it item, r *rule) {
	n := it.n
	if len(r.types) > 0 && !w.typeAllowed(it, r) {
		w.report(n, finding{code: "structure", key: "profile-type", zh: w.by("此处类型不能是 " + it.typeName(r.el)), en: w.byEN("the type " + it.typeName(r.el) + " is not allowed here")})
		return
	}
	if n.Exists() {
		w.values(n, r)
		if r.binding != nil && w.v.terms != nil {
			w.binding(n, it.typeName(r.el), r.binding)
		}
		w.typeProfiles(it, r)
	}
	if len(r.rules) > 0 {
		w.evaluate(n, it.shadow, it.typeName(r.el), r.rules)
	}
	if len(r.children) > 0 {
		w.inner(it, r)
	}
}

// inner goes into the children of an object, or of a primitive's `_name`.
func (w *walk) inner(it item, r *rule) {
	n, typ := it.n, w.v.model.Type(it.typeName(r.el))
	if n.Kind() != fhir.Object {
		n, typ = it.shadow, w.v.element.typ
		if it.ref != nil && it.ref.Type != nil {
			typ = it.ref.Type
		}
	}
	if typ != nil {
		w.conform(n, typ, r)
	}
}

// typeAllowed looks the item's type up among those the profile leaves.
func (w *walk) typeAllowed(it item, r *rule) bool {
	name := it.typeName(r.el)
	if r.el.Content != nil || name == "" {
		return true
	}
	for _, t := range r.types {
		if t.Code == name || t.Code == "Resource" || strings.HasPrefix(t.Code, "http://hl7.org/fhirpath/") {
			return true
		}
		if s := w.v.schemas[name]; s != nil && s.typ.IsA(t.Code) {
			return true
		}
	}
	return false
}

// values checks fixed, pattern, length and bounds.
func (w *walk) values(n fhir.Node, r *rule) {
	if r.fixed.Exists() && !equal(r.fixed, n) {
		w.report(n, finding{code: "value", key: "fixed-value", zh: w.by("此处的值必须是 " + clip(string(r.fixed.Raw()))), en: w.byEN("the value must be " + clip(string(r.fixed.Raw())))})
	}
	if r.pattern.Exists() && !matches(r.pattern, n) {
		w.report(n, finding{code: "value", key: "pattern-value", zh: w.by("此处的值必须包含 " + clip(string(r.pattern.Raw()))), en: w.byEN("the value must contain " + clip(string(r.pattern.Raw())))})
	}
	if r.maxLen > 0 && len([]rune(n.Str())) > r.maxLen {
		most := strconv.Itoa(r.maxLen)
		w.report(n, finding{code: "value", key: "too-long", zh: w.by("长度不能超过 " + most), en: w.byEN("longer than " + most + " characters")})
	}
	if r.least.Exists() && compare(n, r.least) < 0 || r.most.Exists() && compare(n, r.most) > 0 {
		w.report(n, finding{code: "value", key: "out-of-range", zh: w.by("值超出允许范围"), en: w.byEN("the value is out of range")})
	}
}

// typeProfiles checks the profiles and reference targets of the item's type.
func (w *walk) typeProfiles(it item, r *rule) {
	name := it.typeName(r.el)
	for _, t := range r.types {
		if t.Code != name && t.Code != "Resource" {
			continue
		}
		if name == "Reference" && len(t.Targets) > 0 {
			w.profileTargets(it.n, t.Targets)
		}
		if len(t.Profiles) > 0 {
			w.anyProfile(it.n, name, t.Profiles)
		}
	}
}

// profileTargets checks the type a reference leads to; what the profile of the
// target demands is checked where the target is validated.
func (w *walk) profileTargets(n fhir.Node, targets []string) {
	ref := n.Get("reference")
	if ref.Kind() != fhir.String {
		return
	}
	typ, ok := "", false
	w.quiet(func() { typ, ok = w.target(n, ref) }) // a bad reference was reported already
	if ok && typ != "" && !w.allowed(typ, targets) {
		w.reportAt(n, "reference", finding{code: "structure", key: "reference-target", zh: w.by("此处不能引用 " + typ), en: w.byEN("a reference to " + typ + " is not allowed here"),
			hint: "allowed: " + targetNames(targets)})
	}
}

// anyProfile holds if the value conforms to one of the profiles; with a single
// one its findings are reported.
func (w *walk) anyProfile(n fhir.Node, typ string, urls []string) {
	s := w.v.schemas[typ]
	if s == nil {
		return
	}
	for _, url := range urls {
		p, _ := w.v.profiles.profile(url)
		switch {
		case p == nil:
			return // nobody here can tell
		case len(urls) == 1:
			w.profile(n, p, s)
			return
		case w.quiet(func() { w.profile(n, p, s) }):
			return
		}
	}
	w.report(n, finding{code: "structure", key: "no-profile-matches", zh: w.by("不符合任何允许的 profile：" + strings.Join(urls, ", ")), en: w.byEN("conforms to none of the allowed profiles " + strings.Join(urls, ", "))})
}

// quiet runs checks and reports whether they found no error; the findings are
// not kept.
func (w *walk) quiet(check func()) bool {
	silent, failed := w.silent, w.failed
	w.silent, w.failed = true, false
	check()
	ok := !w.failed
	w.silent, w.failed = silent, failed
	return ok
}

// inSet reports whether a coded value is in a required value set.
func (w *walk) inSet(n fhir.Node, typ, valueSet string) bool {
	switch typ {
	case "CodeableConcept":
		v, _ := w.conceptIn(n, valueSet)
		return v == terminology.Yes
	case "Coding", "Quantity":
		v, _ := w.codingIn(n, valueSet)
		return v == terminology.Yes
	}
	return w.v.terms.Member(valueSet, "", n.Str()) == terminology.Yes
}
