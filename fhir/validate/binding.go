package validate

import (
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// binding checks a coded value against its value set
// (http://hl7.org/fhir/R4/terminologies.html#strength).
func (w *walk) binding(n fhir.Node, typ string, b *definitions.Binding) {
	switch b.Strength {
	case "required":
		w.bound(n, typ, b.ValueSet, "error")
	case "extensible":
		w.bound(n, typ, b.ValueSet, "warning")
	}
	if b.MaxValueSet != "" {
		w.bound(n, typ, b.MaxValueSet, "error")
	}
}

// bound reports at a severity a value outside a value set.
func (w *walk) bound(n fhir.Node, typ, valueSet, severity string) {
	verdict, shown, at := terminology.No, "", n
	switch typ {
	case "code", "string", "uri", "canonical", "url", "markdown", "id", "oid", "uuid":
		shown = n.Str()
		verdict = w.v.terms.Member(valueSet, "", shown)
	case "Coding":
		verdict, shown = w.codingIn(n, valueSet)
	case "Quantity", "Duration", "Age", "Count", "Distance", "Money", "SimpleQuantity":
		if !n.Get("code").Exists() {
			return
		}
		verdict, shown = w.codingIn(n, valueSet)
		at = n.Get("code")
	case "CodeableConcept":
		if n.Get("coding").Len() == 0 {
			if severity == "error" && n.Get("text").Exists() {
				w.report(n, finding{code: "code-invalid", key: "binding-no-code", zh: "此处必须使用值集 " + valueSet + " 中的编码，不能只有文本",
					en: "a code from the value set " + valueSet + " is required, text alone is not enough"})
			}
			return
		}
		verdict, shown = w.conceptIn(n, valueSet)
	default:
		return
	}
	if verdict == terminology.No {
		w.outside(at, shown, valueSet, severity)
	}
}

func (w *walk) codingIn(n fhir.Node, valueSet string) (terminology.Verdict, string) {
	system, code := n.Get("system").Str(), n.Get("code").Str()
	shown := code
	if system != "" {
		shown = system + "#" + code
	}
	return w.v.terms.Member(valueSet, system, code), shown
}

// conceptIn holds if any of the codings is in the value set.
func (w *walk) conceptIn(n fhir.Node, valueSet string) (terminology.Verdict, string) {
	verdict, shown := terminology.No, ""
	for c := range n.Get("coding").Each() {
		v, text := w.codingIn(c, valueSet)
		if v == terminology.Yes {
			return v, text
		}
		if v == terminology.Unknown {
			verdict = v
		}
		if shown != "" {
			shown += ", "
		}
		shown += text
	}
	return verdict, shown
}

func (w *walk) outside(n fhir.Node, shown, valueSet, severity string) {
	f := finding{severity: severity, code: "code-invalid", key: "binding-required", zh: "编码 " + quote(shown) + " 不在值集 " + valueSet + " 中",
		en: "the code " + quote(shown) + " is not in the value set " + valueSet}
	if severity != "error" {
		f.key = "binding-extensible"
		w.report(n, f)
		return
	}
	if codes := w.v.terms.Codes(valueSet, 40); len(codes) > 0 {
		if f.hint = fault.DidYouMean(n.Str(), codes); f.hint == "" && len(codes) <= 12 {
			f.hint = "one of"
			for _, c := range codes {
				f.hint += " " + c
			}
		}
	}
	w.report(n, f)
}

// coding checks a Coding for itself: does its system have the code, is the
// display one of the code's names.
func (w *walk) coding(n fhir.Node) {
	system, code := n.Get("system"), n.Get("code")
	if !system.Exists() || !code.Exists() {
		return
	}
	switch verdict := w.v.terms.Valid(system.Str(), code.Str()); {
	case verdict == terminology.No:
		w.reportAt(code, "code", finding{code: "code-invalid", key: "code-unknown", zh: "编码系统 " + system.Str() + " 中没有编码 " + quote(code.Str()),
			en: "the code system " + system.Str() + " has no code " + quote(code.Str())})
	case verdict == terminology.Unknown && w.v.terms.Fragment(system.Str()):
		w.reportAt(code, "code", finding{severity: "warning", code: "code-invalid", key: "code-unlisted", zh: "编码系统 " + system.Str() + " 已收录的部分没有编码 " + quote(code.Str()) + "，请核对",
			en: "the loaded fragment of the code system " + system.Str() + " has no code " + quote(code.Str()) + ": please check it"})
	}
}
