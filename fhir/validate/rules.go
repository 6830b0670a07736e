package validate

import (
	"strings"
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// typeRules are the invariants on every value of a type.
type typeRules struct {
	invariants []*invariant
}

// elementRules are what a type says of one of its elements.
type elementRules struct {
	el         *definitions.Element
	index      int
	invariants []*invariant
}

// invariant is a FHIRPath rule, compiled at its first use.
type invariant struct {
	definitions.Constraint
	once sync.Once
	x    *fhirpath.Expression
	err  error
}

func (i *invariant) compile(e *fhirpath.Engine) (*fhirpath.Expression, error) {
	i.once.Do(func() { i.x, i.err = e.Compile(erratumExpression(i.Key, i.Expression)) })
	return i.x, i.err
}

// native are the invariants checked in Go, by walk or by a rule of this package:
// they hold for every element, need what FHIRPath does not see, or would take
// quadratic time.
var native = map[string]bool{
	"ele-1": true, "ext-1": true, // walk.go
	"dom-2": true, "dom-3": true, "dom-4": true, "dom-5": true, "dom-6": true, // resource.go
	"ref-1": true,                // reference.go
	"txt-1": true, "txt-2": true, // narrative.go
	"bdl-7": true, "bdl-8": true, // bundle.go
	"que-2": true, // questionnaire.go
}

// invariants picks those that FHIRPath evaluates; have drops doubles.
func invariants(list []definitions.Constraint, have map[string]*invariant) (out []*invariant) {
	for _, c := range list {
		if native[c.Key] || c.Expression == "" {
			continue
		}
		id := c.Key + " " + c.Expression
		if have[id] == nil {
			have[id] = &invariant{Constraint: c}
		}
		out = append(out, have[id])
	}
	return out
}

// compileRules fills in the rules of every schema.
func compileRules(all map[string]*schema) {
	have := map[string]*invariant{}
	for _, s := range all {
		s.rules = &typeRules{invariants: invariants(s.typ.Constraints, have)}
	}
	for _, s := range all {
		for _, m := range s.members {
			if m.rules.invariants != nil || m.el.Content != nil {
				continue // a backbone's own rules are on its type
			}
			m.rules.invariants = without(invariants(m.el.Constraints, have), m.child)
		}
	}
}

// without drops the invariants that the element's type has itself.
func without(list []*invariant, s *schema) (out []*invariant) {
	for _, i := range list {
		own := false
		if s != nil {
			for _, c := range s.typ.Constraints {
				own = own || c.Key == i.Key
			}
		}
		if !own {
			out = append(out, i)
		}
	}
	return out
}

// element applies the rules beyond structure to one value.
func (w *walk) element(n, shadow fhir.Node, m *member) {
	if b := m.el.Binding; b != nil && w.v.terms != nil {
		w.binding(n, m.typeName(), b)
	}
	if m.child != nil {
		w.typed(n, m)
		w.evaluate(n, fhir.Node{}, m.child.typ.Name, m.child.rules.invariants)
	}
	if len(m.rules.invariants) > 0 {
		w.evaluate(n, shadow, m.modelType(), m.rules.invariants)
	}
}

// modelType is the model's name for the element's type.
func (m *member) modelType() string {
	if m.child != nil {
		return m.child.typ.Name
	}
	return m.typeName()
}

// typed applies the rules of the data types that carry some.
func (w *walk) typed(n fhir.Node, m *member) {
	switch m.child.typ.Name {
	case "Extension":
		w.extension(n, m.el.Name == "modifierExtension")
	case "Reference":
		w.reference(n, m.ref.Targets)
	case "Narrative":
		w.narrative(n)
	case "Coding":
		if w.v.terms != nil {
			w.coding(n)
		}
	case "Bundle.entry":
		w.bundleEntry(n)
	}
}

// evaluate checks invariants on a value.
func (w *walk) evaluate(n, shadow fhir.Node, typ string, list []*invariant) {
	if w.v.fp == nil {
		return
	}
	for _, inv := range list {
		x, err := inv.compile(w.v.fp)
		if err != nil {
			w.report(n, finding{severity: "warning", code: "not-supported", key: "invariant-uncompiled", zh: inv.Key + "：规则的 FHIRPath 无法编译",
				en: inv.Key + ": the rule's FHIRPath does not compile", hint: err.Error()})
			continue
		}
		ok, err := w.holds(x, w.v.fp.ItemOf(n, shadow, typ))
		if err != nil {
			w.report(n, finding{severity: "warning", code: "processing", key: "invariant-failed", zh: inv.Key + "：规则无法求值", en: inv.Key + ": the rule cannot be evaluated", hint: err.Error()})
			continue
		}
		if !ok {
			w.broken(n, inv)
		}
	}
}

// holds evaluates a rule; a rule without an answer (empty) is not broken.
func (w *walk) holds(x *fhirpath.Expression, it fhirpath.Item) (bool, error) {
	out, err := x.Append(w.results[:0], w.pathContext(), it)
	w.results = out
	if err != nil || len(out) != 1 {
		return len(out) == 0, err
	}
	if v, ok := out[0].Value(); ok {
		if b, ok := v.Bool(); ok {
			return b, nil
		}
	}
	return true, nil
}

func (w *walk) broken(n fhir.Node, inv *invariant) {
	w.report(n, finding{severity: inv.Severity, code: "invariant", key: inv.Key, zh: "违反规则 " + inv.Key + "：" + strings.TrimSpace(inv.Human),
		en: inv.Key + ": " + strings.TrimSpace(inv.Human), hint: inv.Expression})
}

// pathContext is the FHIRPath context of the current scope.
func (w *walk) pathContext() *fhirpath.Context {
	c := &w.context
	c.Ctx, c.Resource, c.RootResource, c.Conformance = w.ctx, w.scope.resource, w.scope.root, w.v
	c.Terminology = w.v.tx
	return c
}

// expressions are compiled once by their text.
type expressions struct{ byText sync.Map }

func (x *expressions) compile(e *fhirpath.Engine, text string) (*fhirpath.Expression, error) {
	if c, ok := x.byText.Load(text); ok {
		return c.(*fhirpath.Expression), nil
	}
	c, err := e.Compile(text)
	if err == nil {
		x.byText.Store(text, c)
	}
	return c, err
}
