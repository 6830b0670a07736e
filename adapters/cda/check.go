package cda

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

//go:embed data/rules.json
var rulesJSON []byte

// Rule is one schematron-like rule: what must hold at a place of documents of
// some templates.
type Rule struct {
	ID        string   `json:"id"`
	Templates []string `json:"templates"` // document codes; nil = every document
	Place     string   `json:"place"`     // path of elements below ClinicalDocument, "." = the document
	Assert    string   `json:"assert"`    // name of the test, then its arguments
	Severity  string   `json:"severity"`  // fatal: the document cannot be taken
	Message   string   `json:"message"`
	English   string   `json:"en"`
	Source    string   `json:"source"`
}

// Checker judges documents by the rules. It is read-only and safe for
// concurrent use.
type Checker struct {
	catalogue *Catalogue
	rules     []compiled
}

type compiled struct {
	Rule
	place []string
	test  assertion
	args  []string
}

// assertion is the test of a rule at the elements of its place (nil if there are
// none).
type assertion func(c *checking, r *compiled, at *xmlread.Element)

// NewChecker compiles the embedded rules. An unknown assertion is an error.
func NewChecker(c *Catalogue) (*Checker, error) {
	var file struct{ Rules []Rule }
	if err := json.Unmarshal(rulesJSON, &file); err != nil {
		return nil, err
	}
	out := &Checker{catalogue: c}
	tests := assertions()
	for _, r := range file.Rules {
		words := strings.Fields(r.Assert)
		if len(words) == 0 || tests[words[0]] == nil {
			return nil, fmt.Errorf("rule %s: unknown assertion %q", r.ID, r.Assert)
		}
		cr := compiled{Rule: r, test: tests[words[0]], args: words[1:]}
		if r.Place != "." {
			cr.place = strings.Split(r.Place, "/")
		}
		out.rules = append(out.rules, cr)
	}
	return out, nil
}

// Rules lists the rules, in order.
func (c *Checker) Rules() []Rule {
	out := make([]Rule, len(c.rules))
	for i := range c.rules {
		out[i] = c.rules[i].Rule
	}
	return out
}

// checking is the judging of one document.
type checking struct {
	*Checker
	doc      *Document
	template *Template // nil if it is unknown
	issues   []fault.Issue
}

// Check judges a document that Read returned. The findings are in the order of
// the rules; one of severity fatal says that the document cannot be taken.
func (c *Checker) Check(d *Document) []fault.Issue {
	k := &checking{Checker: c, doc: d, template: c.Template(d)}
	for i := range c.rules {
		r := &c.rules[i]
		if r.Templates != nil && (k.template == nil || !slices.Contains(r.Templates, k.template.Code)) {
			continue
		}
		found := false
		for e := range places(d.el, r.place) {
			found = true
			r.test(k, r, e)
		}
		if !found {
			r.test(k, r, nil)
		}
	}
	return k.issues
}

// Template is the template a document says it follows; nil unless its templateId
// and its code agree.
func (c *Checker) Template(d *Document) *Template {
	t := c.catalogue.TemplateOf(d.TemplateID)
	if t == nil || t != c.catalogue.Template(d.Template) {
		return nil
	}
	return t
}

// Fatal returns the first finding that forbids taking the document, nil if none.
func Fatal(issues []fault.Issue) *fault.Issue {
	for i := range issues {
		if issues[i].Severity == "fatal" {
			return &issues[i]
		}
	}
	return nil
}

// places yields the elements a path of names leads to.
func places(e *xmlread.Element, path []string) func(yield func(*xmlread.Element) bool) {
	return func(yield func(*xmlread.Element) bool) { walk(e, path, yield) }
}

func walk(e *xmlread.Element, path []string, yield func(*xmlread.Element) bool) bool {
	if len(path) == 0 {
		return yield(e)
	}
	for c := range e.All(path[0]) {
		if !walk(c, path[1:], yield) {
			return false
		}
	}
	return true
}

// find reports a broken rule at an element; without one, at the rule's place.
func (k *checking) find(r *compiled, e *xmlread.Element, detail, detailEN string) {
	if len(k.issues) >= maxIssues {
		return
	}
	is := fault.Issue{Severity: r.Severity, Code: "business-rule", Key: "cda-" + r.ID, Text: r.Message + detail, TextEN: r.English + detailEN,
		Hint: "规则 " + r.ID + "，依据：" + r.Source}
	if e != nil {
		is.Expression = e.Path()
		is.Line, is.Col = e.Position()
	} else {
		is.Expression = strings.TrimSuffix("/ClinicalDocument/"+r.Place, "/.")
	}
	k.issues = append(k.issues, is)
}
