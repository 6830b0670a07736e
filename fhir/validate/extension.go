package validate

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// extensionContext is where an extension may be used.
type extensionContext struct{ kind, expression string }

// extension checks one extension against its definition: is it known, may it
// stand here, is it what it is said to be
// (http://hl7.org/fhir/R4/extensibility.html).
func (w *walk) extension(n fhir.Node, modifier bool) {
	url := n.Get("url")
	s := url.Str()
	if s == "" {
		return
	}
	if !strings.Contains(s, ":") {
		if w.inExtension() {
			return // a part of a complex extension; the outer definition says more
		}
		w.reportAt(url, "url", finding{code: "value", key: "extension-url", zh: "扩展的 url 必须是绝对地址：" + quote(s), en: "an extension's url must be absolute: " + quote(s)})
		return
	}
	p, err := w.v.profiles.profile(s)
	if p == nil {
		w.unknownExtension(url, modifier, err)
		return
	}
	if p.typ.Name != "Extension" {
		w.reportAt(url, "url", finding{code: "structure", key: "extension-not", zh: s + " 不是扩展的定义", en: s + " does not define an extension"})
		return
	}
	if !w.inExtension() && !w.contextAllows(w.v.profiles.entry(s).read().contexts) {
		w.reportAt(url, "url", finding{code: "structure", key: "extension-context", zh: "扩展 " + s + " 不能用在这里", en: "the extension " + s + " is not allowed here",
			hint: "allowed on: " + contextNames(w.v.profiles.entry(s).read().contexts)})
	}
	w.profile(n, p, w.v.schemas["Extension"])
}

// unknownExtension: data with it is valid, but nobody here can say what it
// means; that matters where it modifies.
func (w *walk) unknownExtension(url fhir.Node, modifier bool, err error) {
	f := finding{severity: "information", code: "extension", key: "extension-unknown", zh: "未知的扩展：" + url.Str(), en: "unknown extension: " + url.Str()}
	if modifier {
		f.severity, f.key, f.zh, f.en = "warning", "modifier-extension-unknown", "未知的修饰扩展："+url.Str(), "unknown modifier extension: "+url.Str()
	}
	if err != nil {
		f.hint = err.Error()
	}
	w.reportAt(url, "url", f)
}

// inExtension reports whether the current extension is inside another.
func (w *walk) inExtension() bool {
	if len(w.path) < 2 {
		return false
	}
	name := w.path[len(w.path)-2].name
	return name == "extension" || name == "modifierExtension"
}

// contextAllows reports whether one of the contexts covers the place; those of
// kinds that need more than the place are taken on trust.
func (w *walk) contextAllows(list []extensionContext) bool {
	if len(list) == 0 {
		return true
	}
	for _, c := range list {
		if c.kind != "element" || w.standsOn(c.expression) {
			return true
		}
	}
	return false
}

// owner is the element that extensions stand on.
type owner struct {
	el  *definitions.Element // nil for a resource
	typ *definitions.Type
}

func (w *walk) enter(el *definitions.Element, typ *definitions.Type) {
	w.owners = append(w.owners, owner{el, typ})
}

func (w *walk) leave() { w.owners = w.owners[:len(w.owners)-1] }

// standsOn reports whether the extended element is the one an expression
// names: a type ("HumanName", "Resource"), or a path ("Patient.contact.name").
func (w *walk) standsOn(expression string) bool {
	if expression == "Element" || len(w.owners) == 0 {
		return true
	}
	o := w.owners[len(w.owners)-1]
	for t := o.typ; t != nil; t = t.Base {
		if t.Name == expression {
			return true
		}
	}
	return o.el != nil && strings.TrimSuffix(o.el.Path, "[x]") == strings.TrimSuffix(expression, "[x]")
}

func contextNames(list []extensionContext) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.expression
	}
	return strings.Join(names, ", ")
}
