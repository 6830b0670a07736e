package validate

import "github.com/qihuang-health/qihuang/fhir"

// resourceRules applies what holds for a whole resource.
func (w *walk) resourceRules(n fhir.Node, s *schema) {
	if s.typ.IsA("DomainResource") {
		w.domainRules(n)
	}
	switch s.typ.Name {
	case "Bundle":
		w.bundle(n)
	case "Questionnaire":
		w.questionnaire(n)
	case "QuestionnaireResponse":
		w.response(n)
	}
	w.evaluate(n, fhir.Node{}, s.typ.Name, s.rules.invariants)
}

// domainRules are dom-2 to dom-6 (http://hl7.org/fhir/R4/domainresource.html#invs).
func (w *walk) domainRules(n fhir.Node) {
	inside := !w.scope.resource.Same(w.scope.root)
	if !inside && !n.Get("text").Get("div").Exists() {
		w.report(n, finding{severity: "warning", code: "invariant", key: "dom-6", zh: "建议提供叙述文本 text", en: "dom-6: a resource should have narrative for robust management"})
	}
	i := 0
	for c := range n.Get("contained").Each() {
		w.push("contained", i)
		i++
		if c.Get("contained").Exists() {
			w.report(c, finding{code: "invariant", key: "dom-2", zh: "被包含的资源不能再包含资源", en: "dom-2: a contained resource shall not contain resources"})
		}
		if meta := c.Get("meta"); meta.Get("versionId").Exists() || meta.Get("lastUpdated").Exists() {
			w.report(meta, finding{code: "invariant", key: "dom-4", zh: "被包含的资源不能有 meta.versionId 或 meta.lastUpdated", en: "dom-4: a contained resource shall not have a meta.versionId or a meta.lastUpdated"})
		}
		if c.Get("meta").Get("security").Exists() {
			w.report(c, finding{code: "invariant", key: "dom-5", zh: "被包含的资源不能有安全标签", en: "dom-5: a contained resource shall not have a security label"})
		}
		w.referenced(c)
		w.pop()
	}
}

// referenced is dom-3: something refers to a contained resource, or it refers to
// its container.
func (w *walk) referenced(c fhir.Node) {
	id := c.Get("id")
	if !id.Exists() {
		w.report(c, finding{code: "required", key: "contained-id", zh: "被包含的资源必须有 id", en: "a contained resource must have an id"})
		return
	}
	inner := map[string]bool{}
	if !w.pointedAt(id.Str()) {
		collect(c, inner)
	}
	if w.pointedAt(id.Str()) || inner[""] {
		return
	}
	w.report(c, finding{code: "invariant", key: "dom-3", zh: "被包含的资源 #" + id.Str() + " 没有被引用", en: "dom-3: the contained resource #" + id.Str() + " is not referred to"})
}
