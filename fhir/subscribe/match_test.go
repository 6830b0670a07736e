package subscribe

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
)

func putTx(id string) *store.Transaction {
	return &store.Transaction{ID: "tx-" + id, Time: time.Unix(1_790_000_000, 0).UTC(),
		Ops: []store.Op{{Method: store.Update, Type: "Patient", ID: id, Resource: []byte(`{"resourceType":"Patient","id":"` + id + `"}`)}}}
}

// TestTriggers holds changes of an Encounter against every form of a trigger.
func TestTriggers(t *testing.T) {
	_, paths, se := knowledge(t)
	s := &Service{parts: Parts{Search: se, Paths: paths}}
	was := `{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"code":"AMB"}}`
	is := `{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"}}`
	changed := func(before, after string) *change {
		c := &change{s: s, loaded: true, Change: store.Change{Version: &store.Version{Type: "Encounter", ID: "e", Version: 2, Method: store.Update}}}
		if before == "" {
			c.Created = true
		} else {
			c.before.raw = []byte(before)
		}
		if after == "" {
			c.Method = store.Delete
		} else {
			c.now.raw = []byte(after)
		}
		return c
	}
	all := func(t Trigger) Trigger { t.Create, t.Update, t.Delete = true, true, true; return t }
	both := all(Trigger{Previous: "status:not=finished", Current: "status=finished", Both: true})
	for name, c := range map[string]struct {
		trigger       Trigger
		before, after string
		want          bool
	}{
		"any":                        {all(Trigger{}), was, is, true},
		"create only":                {Trigger{Create: true}, was, is, false},
		"created":                    {Trigger{Create: true}, "", is, true},
		"deleted":                    {Trigger{Delete: true}, was, "", true},
		"deletion not asked":         {Trigger{Create: true, Update: true}, was, "", false},
		"current":                    {all(Trigger{Current: "status=finished"}), was, is, true},
		"current not":                {all(Trigger{Current: "status=planned"}), was, is, false},
		"both":                       {both, was, is, true},
		"both, was so before":        {both, is, is, false},
		"both, created":              {both, "", is, true},
		"either":                     {all(Trigger{Previous: "status=planned", Current: "status=finished"}), was, is, true},
		"neither":                    {all(Trigger{Previous: "status=planned", Current: "status=planned"}), was, is, false},
		"created fails previous":     {all(Trigger{Previous: "status=planned", CreateFails: true}), "", is, false},
		"created passes previous":    {all(Trigger{Previous: "status=planned"}), "", is, true},
		"deleted fails current":      {all(Trigger{Current: "status=finished", DeleteFails: true}), is, "", false},
		"fhirpath":                   {all(Trigger{FHIRPath: "%previous.status != %current.status"}), was, is, true},
		"fhirpath not":               {all(Trigger{FHIRPath: "%previous.status != %current.status"}), is, is, false},
		"fhirpath without previous":  {all(Trigger{FHIRPath: "%previous.exists().not() and status = 'finished'"}), "", is, true},
		"fhirpath and query, one no": {all(Trigger{Current: "status=planned", FHIRPath: "true"}), was, is, false},
	} {
		got, err := changed(c.before, c.after).fires(context.Background(), c.trigger)
		if err != nil || got != c.want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

// TestParseTopic reads both forms of the cross-version extensions.
func TestParseTopic(t *testing.T) {
	inner := `{"url":"url","valueUri":"http://x/t"},{"url":"title","valueString":"T"},{"url":"resourceTrigger","extension":[{"url":"resource","valueUri":"http://hl7.org/fhir/StructureDefinition/Patient"},{"url":"supportedInteraction","valueCode":"create"},
{"url":"queryCriteria","extension":[{"url":"current","valueString":"Patient?active=true"},{"url":"requireBoth","valueBoolean":true}]}]}`
	whole := `{"resourceType":"Basic","code":{"coding":[{"code":"SubscriptionTopic"}]},"extension":[{"url":"` + topicExtension + `","extension":[` + inner + `]}]}`
	flat := `{"resourceType":"Basic","code":{"coding":[{"code":"SubscriptionTopic"}]},"extension":[` + strings.NewReplacer(`{"url":"url"`, `{"url":"`+topicExtension+`.url"`, `{"url":"title"`, `{"url":"`+topicExtension+`.title"`,
		`{"url":"resourceTrigger"`, `{"url":"`+topicExtension+`.resourceTrigger"`).Replace(inner) + `]}`
	for _, src := range []string{whole, flat} {
		tree, err := fhir.Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		topic, ok := ParseTopic(tree.Root())
		if !ok || topic.URL != "http://x/t" || topic.Title != "T" || len(topic.Triggers) != 1 {
			t.Fatalf("%v %+v", ok, topic)
		}
		if tr := topic.Triggers[0]; tr.Type != "Patient" || !tr.Create || tr.Update || tr.Current != "active=true" || !tr.Both {
			t.Errorf("%+v", tr)
		}
	}
	for _, src := range []string{strings.Replace(whole, "SubscriptionTopic", "other", 1), strings.Replace(flat, `"http://x/t"`, `""`, 1), `{"resourceType":"Patient"}`} {
		tree, err := fhir.Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ParseTopic(tree.Root()); ok && !strings.Contains(src, "Topic.title") {
			t.Errorf("taken: %s", src)
		}
	}
}

// BenchmarkMatch holds one change against a hundred subscriptions.
func BenchmarkMatch(b *testing.B) {
	t := &testing.T{}
	_, paths, se := knowledge(t)
	s := &Service{parts: Parts{Search: se, Paths: paths}}
	var subs []*subscription
	for range 100 {
		subs = append(subs, &subscription{def: &Definition{Type: "Patient", Query: "family=Li&active=true"}})
	}
	raw := []byte(`{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"Li"}]}`)
	for b.Loop() {
		c := &change{s: s, now: side{raw: raw}, Change: store.Change{Version: &store.Version{Type: "Patient", ID: "p", Version: 1, Method: store.Create, Created: true}}}
		for _, sub := range subs {
			if ok, err := c.event(context.Background(), sub); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	}
}
