package subscribe

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// Topic is a SubscriptionTopic of R5, kept in R4 as a Basic with the
// cross-version extensions (http://hl7.org/fhir/5.0/StructureDefinition/
// extension-SubscriptionTopic.*, or all of them inside one extension of the
// name without a dot).
type Topic struct {
	URL, Title string
	Triggers   []Trigger
	Filters    []Filter
	Shapes     []Shape
}

// Trigger is a resourceTrigger: which changes of which type are events.
type Trigger struct {
	Type                           string
	Create, Update, Delete         bool
	Previous, Current              string // search criteria without Type?; "" = none
	CreateFails, DeleteFails, Both bool   // resultForCreate, resultForDelete = test-fails; requireBoth
	FHIRPath                       string
}

// Filter is a canFilterBy: a search parameter that subscriptions may narrow by.
type Filter struct{ Type, Parameter string }

// Shape is a notificationShape: what goes with the focus of an event.
type Shape struct {
	Type                string
	Include, RevInclude []string
}

const (
	topicExtension = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"
	topicCode      = "SubscriptionTopic" // Basic.code
	typePrefix     = "http://hl7.org/fhir/StructureDefinition/"
)

// isTopic reports whether a Basic says that it is a topic.
func isTopic(basic fhir.Node) bool {
	for c := range basic.Path("code", "coding").Each() {
		if c.Get("code").Str() == topicCode {
			return true
		}
	}
	return false
}

// ParseTopic reads a topic from a Basic; ok false if it is none, is not in use,
// or has no url.
func ParseTopic(basic fhir.Node) (t *Topic, ok bool) {
	if basic.ResourceType() != "Basic" || !isTopic(basic) {
		return nil, false
	}
	t = &Topic{}
	status := "active"
	for name, ext := range topicParts(basic) {
		switch name {
		case "url":
			t.URL = value(ext)
		case "title":
			t.Title = value(ext)
		case "status":
			status = value(ext)
		case "resourceTrigger":
			t.Triggers = append(t.Triggers, parseTrigger(ext))
		case "canFilterBy":
			t.Filters = append(t.Filters, Filter{bareType(part(ext, "resource")), part(ext, "filterParameter")})
		case "notificationShape":
			t.Shapes = append(t.Shapes, Shape{bareType(part(ext, "resource")), parts(ext, "include"), parts(ext, "revInclude")})
		}
	}
	return t, t.URL != "" && (status == "active" || status == "draft")
}

// topicParts yields the elements of the topic by their names in R5.
func topicParts(basic fhir.Node) func(yield func(string, fhir.Node) bool) {
	return func(yield func(string, fhir.Node) bool) {
		for ext := range basic.Get("extension").Each() {
			url := ext.Get("url").Str()
			if name, ok := strings.CutPrefix(url, topicExtension+"."); ok {
				if !yield(name, ext) {
					return
				}
				continue
			}
			if url != topicExtension {
				continue
			}
			for e := range ext.Get("extension").Each() {
				if !yield(e.Get("url").Str(), e) {
					return
				}
			}
		}
	}
}

func parseTrigger(ext fhir.Node) Trigger {
	t := Trigger{Type: bareType(part(ext, "resource")), FHIRPath: part(ext, "fhirPathCriteria")}
	on := parts(ext, "supportedInteraction")
	for _, code := range on {
		t.Create = t.Create || code == "create"
		t.Update = t.Update || code == "update"
		t.Delete = t.Delete || code == "delete"
	}
	if len(on) == 0 {
		t.Create, t.Update, t.Delete = true, true, true
	}
	for q := range ext.Get("extension").Each() {
		if q.Get("url").Str() != "queryCriteria" {
			continue
		}
		t.Previous, t.Current = bareQuery(part(q, "previous")), bareQuery(part(q, "current"))
		t.CreateFails, t.DeleteFails = part(q, "resultForCreate") == "test-fails", part(q, "resultForDelete") == "test-fails"
		t.Both = part(q, "requireBoth") == "true"
	}
	return t
}

// bareType takes the canonical prefix from a type name.
func bareType(s string) string { return strings.TrimPrefix(s, typePrefix) }

// bareQuery takes what stands before the query.
func bareQuery(s string) string {
	if i := strings.IndexByte(s, '?'); i >= 0 {
		return s[i+1:]
	}
	return s
}

// parts are the values of an extension's own extensions of a name.
func parts(ext fhir.Node, name string) (out []string) {
	for e := range ext.Get("extension").Each() {
		if e.Get("url").Str() == name {
			out = append(out, value(e))
		}
	}
	return out
}

func part(ext fhir.Node, name string) string {
	for e := range ext.Get("extension").Each() {
		if e.Get("url").Str() == name {
			return value(e)
		}
	}
	return ""
}

// value is the value[x] of an extension as text.
func value(ext fhir.Node) string {
	for m := range ext.Children() {
		if !strings.HasPrefix(m.Key(), "value") {
			continue
		}
		if m.Kind() == fhir.String {
			return m.Str()
		}
		return string(m.Raw())
	}
	return ""
}

// triggers are those that a change of a type may set off.
func (t *Topic) triggers(typ string) (out []Trigger) {
	for _, tr := range t.Triggers {
		if tr.Type == typ {
			out = append(out, tr)
		}
	}
	return out
}

// allows reports whether a filter may use a parameter: any where the topic
// names none for the type.
func (t *Topic) allows(typ, parameter string) bool {
	named := false
	for _, f := range t.Filters {
		if f.Type == "" || f.Type == typ {
			named = true
			if f.Parameter == parameter {
				return true
			}
		}
	}
	return !named
}
