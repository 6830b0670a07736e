package validate

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const structureBase = "http://hl7.org/fhir/StructureDefinition/"

// reference checks Reference.reference: its form, that local ones resolve, and
// that the target's type is one the element allows
// (http://hl7.org/fhir/R4/references.html).
func (w *walk) reference(n fhir.Node, targets []string) {
	ref, stated := n.Get("reference"), n.Get("type").Str()
	typ := stated
	if ref.Kind() == fhir.String {
		found, ok := w.target(n, ref)
		if !ok {
			return
		}
		if found != "" {
			if stated != "" && stated != found {
				w.reportAt(n.Get("type"), "type", finding{code: "value", key: "reference-type-differs", zh: "Reference.type 是 " + stated + "，引用的却是 " + found,
					en: "Reference.type is " + stated + " but the reference is to a " + found})
			}
			typ = found
		}
	}
	if typ == "" || w.allowed(typ, targets) {
		return
	}
	w.reportAt(n, "reference", finding{code: "structure", key: "reference-target", zh: "此处不能引用 " + typ, en: "a reference to " + typ + " is not allowed here",
		hint: "allowed: " + targetNames(targets)})
}

func targetNames(targets []string) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = strings.TrimPrefix(t, structureBase)
	}
	return strings.Join(names, ", ")
}

// allowed reports whether a type is one of the targets, or the target is a
// profile, which only the resource itself could tell.
func (w *walk) allowed(typ string, targets []string) bool {
	if len(targets) == 0 {
		return true
	}
	for _, t := range targets {
		name, core := strings.CutPrefix(t, structureBase)
		s := w.v.schemas[name]
		if !core || s == nil {
			if base := w.v.profiles.typeOf(t); base == "" || base == typ {
				return true
			}
			continue
		}
		if name == typ || w.v.schemas[typ] != nil && w.v.schemas[typ].typ.IsA(name) {
			return true
		}
	}
	return false
}

// target returns the type a reference leads to, "" if it cannot be told; ok is
// false if the reference is wrong in itself, which is reported.
func (w *walk) target(n, ref fhir.Node) (typ string, ok bool) {
	s := ref.Str()
	if id, local := strings.CutPrefix(s, "#"); local {
		c := w.contained(id)
		if !c.Exists() {
			w.reportAt(ref, "reference", finding{code: "invariant", key: "ref-1", zh: "没有 id 为 " + quote(id) + " 的被包含资源", en: "ref-1: there is no contained resource with id " + quote(id)})
			return "", false
		}
		return c.ResourceType(), true
	}
	if strings.HasPrefix(s, "urn:") {
		e := w.inBundle(s)
		if !e.Exists() && w.scope.bundle.Exists() && bundleOwns(w.scope.bundle) {
			w.reportAt(ref, "reference", finding{code: "not-found", key: "reference-unresolved", zh: "Bundle 中没有 fullUrl 为 " + quote(s) + " 的条目", en: "the Bundle has no entry with fullUrl " + quote(s)})
			return "", false
		}
		return e.ResourceType(), true
	}
	return w.literal(ref, s)
}

// literal reads Type/id, Type/id/_history/v, Type?query and absolute URLs.
func (w *walk) literal(ref fhir.Node, s string) (string, bool) {
	path, query, conditional := strings.Cut(s, "?")
	path, _, _ = strings.Cut(path, "#")
	absolute := strings.Contains(path, "://")
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if n := len(parts); n >= 4 && parts[n-2] == "_history" {
		parts = parts[:n-2]
	}
	n := len(parts)
	switch {
	case conditional && query != "" && !absolute && n == 1 && w.v.model.IsResource(parts[0]):
		return parts[0], true
	case n >= 2 && w.v.model.IsResource(parts[n-2]) && validID(parts[n-1]) && (absolute || n == 2):
		return parts[n-2], true
	case absolute:
		return "", true
	}
	f := finding{code: "value", key: "reference-format", zh: quote(s) + " 不是合法的引用，应为 类型/id、绝对地址、urn: 或 #id", en: quote(s) + " is not a reference: use Type/id, an absolute URL, urn:… or #id"}
	if n >= 2 {
		f.hint = fault.DidYouMean(parts[0], w.v.model.Resources())
	}
	w.reportAt(ref, "reference", f)
	return "", false
}

// bundleOwns reports whether every urn reference must lead into the Bundle.
func bundleOwns(b fhir.Node) bool {
	switch b.Get("type").Str() {
	case "transaction", "document", "message":
		return true
	}
	return false
}
