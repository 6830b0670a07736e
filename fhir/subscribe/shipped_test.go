package subscribe

import (
	"context"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
)

// TestParameters finds subscriptions by the search parameters of the guide.
func TestParameters(t *testing.T) {
	_, _, se := knowledge(t)
	params, err := Parameters()
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := se.Extend(params)
	if err != nil {
		t.Fatal(err)
	}
	x := memindex.New()
	const base = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
	for _, s := range []string{
		`{"resourceType":"Subscription","id":"a","criteria":"http://topics/one","_criteria":{"extension":[{"url":"` + base + `backport-filter-criteria","valueString":"Encounter?patient=Patient/1"}]},
			"channel":{"type":"rest-hook","payload":"application/fhir+json","_payload":{"extension":[{"url":"` + base + `backport-payload-content","valueCode":"id-only"}]}}}`,
		`{"resourceType":"Subscription","id":"b","criteria":"http://topics/two","channel":{"type":"message","_type":{"extension":[{"url":"` + base + `backport-channel-type","valueCoding":{"system":"http://channels","code":"pigeon"}}]}}}`,
	} {
		if err := x.Add(e, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	x.Sort()
	for query, want := range map[string]string{
		"topic=http://topics/one": "a", "topic=http://topics/two": "b", "topic=http://topics/none": "",
		"filter-criteria=encounter?patient": "a", "payload-type=id-only": "a", "payload-type=empty": "",
		"custom-channel=http://channels|pigeon": "b", "custom-channel=pigeon": "b",
	} {
		page, err := e.Search(context.Background(), x, search.Request{Type: "Subscription", Query: strings.ReplaceAll(query, "?", "%3F")})
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		got := ""
		for _, m := range page.Matches {
			got += m.ID
		}
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	r := newRig(t)
	_, body := r.call("GET", "/fhir/metadata", "")
	tree, err := fhir.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	rest := tree.Root().Get("rest").At(0)
	if got, want := rest.Get("extension").At(0).Get("valueUri").Str(), "ws"+strings.TrimPrefix(r.url, "http")+SocketPath; got != want {
		t.Errorf("WebSocket at %q, want %q", got, want)
	}
	topics := map[string]bool{}
	for res := range rest.Get("resource").Children() {
		for x := range res.Get("extension").Children() {
			if res.Get("type").Str() != "Subscription" {
				t.Errorf("an extension on %s", res.Get("type").Str())
			}
			topics[x.Get("valueCanonical").Str()] = true
		}
	}
	if len(topics) != len(r.current.Topics()) || !topics["https://qihuang.health/fhir/SubscriptionTopic/encounter-finished"] {
		t.Errorf("topics told: %v", topics)
	}
}
