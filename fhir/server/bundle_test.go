package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/server"
)

// bundleOf makes a Bundle of entries made by entryOf.
func bundleOf(typ string, entries ...string) string {
	return `{"resourceType":"Bundle","type":"` + typ + `","entry":[` + strings.Join(entries, ",") + `]}`
}

// entryOf makes an entry of "METHOD url" or "METHOD url fullUrl", a resource and
// more members of request.
func entryOf(line, resource string, more ...string) string {
	method, url, _ := strings.Cut(line, " ")
	full := ""
	if i := strings.Index(url, " "); i > 0 {
		url, full = url[:i], `"fullUrl":"`+url[i+1:]+`",`
	}
	if resource != "" {
		resource = `"resource":` + resource + `,`
	}
	req := `"method":"` + method + `","url":"` + url + `"`
	for _, m := range more {
		req += "," + m
	}
	return `{` + full + resource + `"request":{` + req + `}}`
}

func TestTransaction(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Patient/old", patient("old", "")).want(t, 201)
	h.do("PUT /Organization/org", `{"resourceType":"Organization","id":"org","identifier":[{"system":"urn:o","value":"7"}]}`).want(t, 201)
	body := bundleOf("transaction",
		entryOf("GET Patient/put", ""),
		entryOf("POST Observation urn:uuid:2", `{"resourceType":"Observation","status":"final","code":{"text":"c"},"subject":{"reference":"urn:uuid:1"},"performer":[{"reference":"Organization?identifier=urn:o|7"}]}`),
		entryOf("PUT Patient/put", patient("put", `,"link":[{"other":{"reference":"urn:uuid:1"},"type":"seealso"}]`)),
		entryOf("POST Patient urn:uuid:1", patient("", `,"identifier":[{"system":"urn:p","value":"1"}]`), `"ifNoneExist":"identifier=urn:p|1"`),
		entryOf("DELETE Patient/old", ""),
		entryOf("GET Patient?identifier=urn:p|1", ""))
	n := h.do("POST ", body).want(t, 200).node(t)
	e := n.Get("entry")
	var status []string
	for x := range e.Children() {
		status = append(status, x.Path("response", "status").Str()[:3])
	}
	if got := strings.Join(status, " "); got != "200 201 201 201 204 200" {
		t.Fatalf("statuses %s: %s", got, n.Raw())
	}
	loc := e.At(3).Path("response", "location").Str()
	id := strings.Split(strings.TrimPrefix(loc, h.base+"/Patient/"), "/")[0]
	if e.At(3).Path("response", "etag").Str() != `W/"1"` || e.At(3).Path("response", "lastModified").Str() == "" || id == "" {
		t.Errorf("%s", e.At(3).Raw())
	}
	if got := e.At(0).Path("resource", "link", "other", "reference").Str(); got != "Patient/"+id {
		t.Errorf("PUT refers to %q, want Patient/%s", got, id)
	}
	if e.At(5).Path("resource", "total").Str() != "1" {
		t.Errorf("the search sees the writes: %s", e.At(5).Raw())
	}
	obs := h.do("GET "+e.At(1).Path("response", "location").Str(), "").want(t, 200).node(t)
	if obs.Path("subject", "reference").Str() != "Patient/"+id || obs.Path("performer", "reference").Str() != "Organization/org" {
		t.Errorf("%s", obs.Raw())
	}
	again := h.do("POST ", body).want(t, 200).node(t).Get("entry")
	if s := again.At(3).Path("response", "status").Str(); s != "200 OK" {
		t.Errorf("conditional create again: %s", s)
	}
}

func TestTransaction_refused(t *testing.T) {
	h := newHub(t)
	good := entryOf("PUT Patient/good", patient("good", ""))
	for name, c := range map[string]struct {
		entry, says string
		status      int
	}{
		"resource":   {entryOf("POST Patient", patient("", `,"gender":"wrong"`)), "Bundle.entry[1].resource.gender", 422},
		"condition":  {entryOf("PUT Patient/x", patient("x", ""), `"ifMatch":"W/\"3\""`), "Bundle.entry[1]", 412},
		"reference":  {entryOf("POST Observation", `{"resourceType":"Observation","subject":{"reference":"Patient?identifier=none"}}`), "Bundle.entry[1]", 412},
		"overlap":    {entryOf("DELETE Patient/good", ""), "Bundle.entry[1].request.url", 400},
		"no request": {`{"resource":` + patient("", "") + `}`, "Bundle.entry[1].request", 400},
		"method":     {entryOf("FETCH Patient", ""), "Bundle.entry[1].request.method", 400},
		"type":       {entryOf("POST Patience", patient("", "")), "Bundle.entry[1].request.url", 404},
		"mismatch":   {entryOf("POST Observation", patient("", "")), "Bundle.entry[1].resource", 400},
		"no body":    {entryOf("POST Patient", ""), "Bundle.entry[1].resource", 400},
		"put id":     {entryOf("PUT Patient/y", patient("z", "")), "Bundle.entry[1].resource.id", 400},
		"operation":  {entryOf("POST Patient/$validate", patient("", "")), "Bundle.entry[1].request.url", 400},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.do("POST ", bundleOf("transaction", good, c.entry)).want(t, c.status)
			if got := a.node(t).Path("issue", "expression").First().Str(); got != c.says {
				t.Errorf("expression %q, want %q: %s", got, c.says, a.body)
			}
			h.do("GET /Patient/good", "").want(t, 404) // nothing of it may be there
		})
	}
}

// TestTransaction_twins shows that two entries with one condition are refused:
// each would be answered on the state before, and make a resource of its own.
func TestTransaction_twins(t *testing.T) {
	h := newHub(t)
	create := entryOf("POST Patient", patient("", `,"identifier":[{"system":"a","value":"b"}]`), `"ifNoneExist":"identifier=a|b"`)
	update := entryOf("PUT Patient?identifier=a|b", patient("", `,"identifier":[{"system":"a","value":"b"}]`))
	for _, second := range []string{create, update} {
		if a := h.do("POST ", bundleOf("transaction", create, second)).want(t, 400); !strings.Contains(a.body, "Bundle.entry[1].request.url") {
			t.Errorf("no place: %s", a.body)
		}
	}
	other := strings.Replace(create, "a|b", "a|c", 1)
	h.do("POST ", bundleOf("transaction", create, other)).want(t, 200)
	h.do("POST ", bundleOf("batch", create, create)).want(t, 200) // entries of a batch are for themselves
	if n := h.do("GET /Patient?identifier=a|b&_summary=count", "").node(t).Get("total").Str(); n != "2" {
		t.Errorf("%s patients", n)
	}
}

func TestBatch(t *testing.T) {
	h := newHub(t)
	n := h.do("POST ", bundleOf("batch",
		entryOf("PUT Patient/1", patient("1", "")),
		entryOf("PUT Patient/2", patient("2", `,"gender":"wrong"`)),
		entryOf("GET Patient/none", ""),
		entryOf("POST Patient", patient("", ""), `"ifNoneExist":"identifier=a|b"`),
		entryOf("GET metadata", ""),
		entryOf("POST ", bundleOf("batch")),
		`{}`)).want(t, 200).node(t)
	want := []string{"201", "422", "404", "201", "200", "400", "400"}
	for i, w := range want {
		e := n.Get("entry").At(i)
		if s := e.Path("response", "status").Str(); len(s) < 3 || s[:3] != w {
			t.Errorf("entry %d: %s, want %s", i, e.Raw(), w)
		}
		if w >= "400" && e.Path("response", "outcome").ResourceType() != "OperationOutcome" {
			t.Errorf("entry %d has no outcome", i)
		}
	}
	if n.Get("type").Str() != "batch-response" {
		t.Errorf("%s", n.Raw())
	}
	rep := h.do("POST ", bundleOf("batch", entryOf("PUT Patient/9", patient("9", ""))), "Prefer: return=representation").node(t)
	if rep.Get("entry").First().Path("resource", "id").Str() != "9" {
		t.Errorf("representation: %s", rep.Raw())
	}
}

func TestLargeTransaction(t *testing.T) {
	h := newHub(t)
	var entries []string
	for i := range 3000 {
		entries = append(entries, entryOf(fmt.Sprintf("POST Patient urn:uuid:%d", i), patient("", fmt.Sprintf(`,"multipleBirthInteger":%d`, i))))
	}
	n := h.do("POST ", bundleOf("transaction", entries...)).want(t, 200).node(t)
	if n.Get("entry").Len() != 3000 {
		t.Errorf("%d entries", n.Get("entry").Len())
	}
}

func TestConditional(t *testing.T) {
	h := newHub(t)
	p := patient("", `,"identifier":[{"system":"urn:p","value":"1"}]`)
	h.do("PUT /Patient?identifier=urn:p|1", p).want(t, 201)
	h.do("PUT /Patient?identifier=urn:p|1", p).want(t, 200)
	if a := h.do("POST /Patient", p, "If-None-Exist: identifier=urn:p|1").want(t, 200); a.node(t).Path("meta", "versionId").Str() != "2" {
		t.Errorf("%s", a.body)
	}
	h.do("POST /Patient", p).want(t, 201)
	h.do("PUT /Patient?identifier=urn:p|1", p).want(t, 412)
	h.do("POST /Patient", p, "If-None-Exist: identifier=urn:p|1").want(t, 412)
	h.do("DELETE /Patient?identifier=urn:p|1", "").want(t, 412)
	h.do("DELETE /Patient?identifier=urn:p|none", "").want(t, 204)
	h.do("DELETE /Patient?nonsense=1", "").want(t, 400)
	many := newHub(t, func(c *server.Config, _ *server.Parts) { c.DeleteMany = true })
	many.do("POST /Patient", p).want(t, 201)
	many.do("POST /Patient", p).want(t, 201)
	many.do("DELETE /Patient?identifier=urn:p|1", "").want(t, 204)
	if n := many.do("GET /Patient?_summary=count", "").node(t); n.Get("total").Str() != "0" {
		t.Errorf("%s", n.Raw())
	}
}

// TestConditionalCreateRace creates one patient from many clients at once.
func TestConditionalCreateRace(t *testing.T) {
	h := newHub(t)
	p := patient("", `,"identifier":[{"system":"urn:p","value":"race"}]`)
	var wg sync.WaitGroup
	created := make(chan int, 32)
	for range 32 {
		wg.Go(func() { created <- h.do("POST /Patient", p, "If-None-Exist: identifier=urn:p|race").StatusCode })
	}
	wg.Wait()
	close(created)
	n := 0
	for status := range created {
		if status == 201 {
			n++
		} else if status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if n != 1 {
		t.Errorf("created %d times", n)
	}
}

func TestSearch(t *testing.T) {
	h := newHub(t)
	for i := range 5 {
		h.do(fmt.Sprintf("PUT /Patient/%d", i), patient(fmt.Sprint(i), `,"name":[{"family":"李","given":["明"]}]`)).want(t, 201)
	}
	h.do("PUT /Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/1"}}`).want(t, 201)
	n := h.do("GET /Patient?name=%E6%9D%8E&_count=2&_sort=_id", "").want(t, 200).node(t)
	if n.Get("total").Str() != "5" || n.Get("entry").Len() != 2 || !strings.Contains(link(n, "self"), "name=") {
		t.Fatalf("%s", n.Raw())
	}
	h.do("PUT /Patient/later", patient("later", `,"name":[{"family":"李"}]`)).want(t, 201)
	seen := ids(n)
	for next := link(n, "next"); next != ""; next = link(n, "next") {
		n = h.do("GET "+next, "").want(t, 200).node(t)
		seen = append(seen, ids(n)...)
	}
	if got := strings.Join(seen, " "); got != "0 1 2 3 4" {
		t.Errorf("paged %s", got)
	}
	if back := link(n, "previous"); back == "" {
		t.Error("no previous link")
	} else if got := ids(h.do("GET "+back, "").want(t, 200).node(t)); strings.Join(got, " ") != "2 3" {
		t.Errorf("previous page %v", got)
	}
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	for _, c := range []struct {
		line, body string
		want       int
		ids        string
	}{
		{"POST /Patient/_search", "name=李&_sort=_id&_count=1", 200, "0"},
		{"POST /Patient/_search?_id=3", "name=李", 200, "3"},
		{"GET /Patient/1/Observation", "", 200, "o"},
		{"GET /Patient/2/Observation", "", 200, ""},
		{"POST /Patient/1/Observation/_search", "status=final", 200, "o"},
		{"GET /?_id=o&_type=Observation", "", 200, "o"},
		{"GET /_search?_type=Observation", "", 200, "o"},
		{"GET /Observation?_include=Observation:subject", "", 200, "o 1"},
		{"GET /Patient?nonsense=1", "", 400, ""},
		{"GET /Patient?_count=x", "", 400, ""},
	} {
		a := h.do(c.line, c.body, form...).want(t, c.want)
		if c.want == 200 {
			if got := strings.Join(ids(a.node(t)), " "); got != c.ids {
				t.Errorf("%s: %q, want %q", c.line, got, c.ids)
			}
		}
	}
	lenient := h.do("GET /Patient?nonsense=1&_id=1", "", "Prefer: handling=lenient").want(t, 200).node(t)
	if strings.Contains(link(lenient, "self"), "nonsense") || !strings.Contains(string(lenient.Raw()), `"outcome"`) {
		t.Errorf("%s", lenient.Raw())
	}
	lenient = h.do("GET /Patient?nonsense=1&_sort=_id&_count=1", "", "Prefer: handling=lenient").want(t, 200).node(t)
	next := strings.TrimPrefix(link(lenient, "next"), h.base)
	if page := h.do("GET "+next, "").want(t, 200).node(t); strings.Contains(next, "nonsense") || len(ids(page)) != 1 {
		t.Errorf("the next page of a lenient search: %s", page.Raw())
	}
	h.do("POST /Patient/_search", `{}`).want(t, 415)
	count := h.do("GET /Patient?_summary=count", "").node(t)
	if count.Get("entry").Exists() || count.Get("total").Str() != "6" {
		t.Errorf("%s", count.Raw())
	}
}

func ids(b fhir.Node) (list []string) {
	for e := range b.Get("entry").Children() {
		list = append(list, e.Path("resource", "id").Str())
	}
	return list
}

func TestAsync(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Patient/1", patient("1", "")).want(t, 201)
	a := h.do("GET /Patient?_id=1", "", "Prefer: respond-async").want(t, 202)
	at := a.Header.Get("Content-Location")
	for {
		a = h.do("GET "+at, "")
		if a.StatusCode != 202 {
			break
		}
	}
	n := a.want(t, 200).node(t)
	if n.Get("type").Str() != "batch-response" || n.Path("entry", "resource", "total").Str() != "1" {
		t.Errorf("%s", a.body)
	}
	h.do("DELETE "+at, "").want(t, 202)
	h.do("DELETE "+at, "").want(t, 404)
	h.do("GET "+at, "").want(t, 404)
}

// TestLostJob asks for a job of an earlier process, as a client does that polls
// across a restart: it is told that the job has ended, not that there never was one.
func TestLostJob(t *testing.T) {
	earlier, h := uuid.Must(uuid.NewV7()).String(), newHub(t)
	for _, line := range []string{"GET /_async/" + earlier, "GET /_async/" + earlier + "/Patient.1.ndjson", "DELETE /_async/" + earlier} {
		if a := h.do(line, "").want(t, 410); !strings.Contains(a.body, `"job-lost"`) {
			t.Errorf("%s: %s", line, a.body)
		}
	}
	later := uuid.Must(uuid.NewV7()).String()
	for _, id := range []string{later, uuid.NewString(), "x"} {
		h.do("GET /_async/"+id, "").want(t, 404)
	}
}

// FuzzBundle posts arbitrary bundles: every answer must be a Bundle or an
// OperationOutcome, never a 5xx.
func FuzzBundle(f *testing.F) {
	f.Add(bundleOf("transaction", entryOf("PUT Patient/1", patient("1", ""))))
	f.Add(bundleOf("batch", entryOf("GET Patient?_id=1", ""), entryOf("DELETE Patient/1", "")))
	f.Add(bundleOf("transaction", entryOf("POST Patient urn:uuid:1", patient("", `,"link":[{"other":{"reference":"urn:uuid:1"}}]`))))
	f.Add(`{"resourceType":"Bundle","type":"batch","entry":[1,null,{"request":[]}]}`)
	h := newHub(f)
	f.Fuzz(func(t *testing.T, body string) {
		h := &hub{t: t, url: h.url, base: h.base}
		a := h.do("POST ", body, "Content-Type: application/fhir+json")
		if a.StatusCode >= 500 {
			t.Fatalf("%d: %s", a.StatusCode, a.body)
		}
		switch a.node(t).ResourceType() {
		case "Bundle", "OperationOutcome":
		default:
			t.Fatalf("%s", a.body)
		}
	})
}
