package server_test

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const asPatch = "Content-Type: application/json-patch+json"

func setGender(code string) string {
	return `[{"op":"add","path":"/gender","value":"` + code + `"}]`
}

// TestPatch_judged shows that a PATCH whose result the validator refuses stores
// nothing, whatever way it comes in.
func TestPatch_judged(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Patient/p", patient("p", `,"gender":"male","identifier":[{"system":"urn:x","value":"1"}]`)).want(t, 201)
	entry := func(url string) string {
		return `{"resource":{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.gender"},{"name":"value","valueCode":"wrong"}]}]},"request":{"method":"PATCH","url":"` + url + `"}}`
	}
	a := h.do("PATCH /Patient/p", setGender("wrong"), asPatch).want(t, 422)
	if n := a.node(t); n.Path("issue").First().Get("expression").First().Str() != "Patient.gender" {
		t.Errorf("no place: %s", a.body)
	}
	h.do("PATCH /Patient?identifier=urn:x|1", setGender("wrong"), asPatch).want(t, 422)
	other := `{"resource":` + patient("", `,"active":true`) + `,"request":{"method":"POST","url":"Patient"}}`
	for _, url := range []string{"Patient/p", "Patient?identifier=urn:x|1"} {
		a = h.do("POST /", `{"resourceType":"Bundle","type":"transaction","entry":[`+other+`,`+entry(url)+`]}`).want(t, 422)
		if !strings.Contains(a.body, "Bundle.entry[1].resource.gender") {
			t.Errorf("place of the entry: %s", a.body)
		}
	}
	a = h.do("POST /", `{"resourceType":"Bundle","type":"batch","entry":[`+entry("Patient/p")+`]}`).want(t, 200)
	if !strings.Contains(a.body, `"422`) {
		t.Errorf("batch: %s", a.body)
	}
	if v := h.do("GET /Patient/p", "").want(t, 200).node(t).Path("meta", "versionId").Str(); v != "1" {
		t.Errorf("version %s after refused patches", v)
	}
}

func TestPatch_ok(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Patient/p", patient("p", `,"gender":"male"`)).want(t, 201)
	h.do("PATCH /Patient/p", setGender("female"), asPatch, "If-Match: W/\"1\"").want(t, 200)
	h.do("PATCH /Patient/p", setGender("male"), asPatch, "If-Match: W/\"1\"").want(t, 412)
	h.do("PATCH /Patient/none", setGender("male"), asPatch).want(t, 404)
	h.do("PATCH /Patient/p", `[{"op":"remove","path":"/photo"}]`, asPatch).want(t, 400)
	for range 2 { // the second is the first's answer again, though the patch no longer applies
		a := h.do("PATCH /Patient/p", `[{"op":"remove","path":"/gender"}]`, asPatch, "Idempotency-Key: once").want(t, 200)
		if a.Header.Get("ETag") != `W/"3"` {
			t.Errorf("%s %s", a.Header.Get("ETag"), a.body)
		}
	}
}

// TestXMLPatch patches by XML, alone and in bundles; results are judged like
// those of any other patch.
func TestXMLPatch(t *testing.T) {
	h := newHub(t)
	const media = "Content-Type: application/xml-patch+xml"
	set := func(code string) string {
		return `<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Patient/f:gender/@value">` + code + `</replace></diff>`
	}
	h.do("PUT /Patient/p", patient("p", `,"gender":"male"`)).want(t, 201)
	if g := h.do("PATCH /Patient/p", set("female"), media).want(t, 200).node(t).Get("gender").Str(); g != "female" {
		t.Errorf("gender %s", g)
	}
	h.do("PATCH /Patient/p", set("wrong"), media).want(t, 422)
	a := h.do("PATCH /Patient/p", "<diff>\n<remove sel=\"f:Patient/f:photo\"/></diff>", media).want(t, 400)
	if !strings.Contains(a.body, `"Patient.photo"`) || !strings.Contains(a.body, "line 2") {
		t.Errorf("no place: %s", a.body)
	}
	h.do("PATCH /Patient/p", "<diff", media).want(t, 400)
	h.do("POST /Patient", set("male"), media).want(t, 415)
	entry := `{"resource":{"resourceType":"Binary","contentType":"application/xml-patch+xml","data":"` + base64.StdEncoding.EncodeToString([]byte(set("other"))) + `"},"request":{"method":"PATCH","url":"Patient/p"}}`
	for _, kind := range []string{"batch", "transaction"} {
		h.do("POST /", `{"resourceType":"Bundle","type":"`+kind+`","entry":[`+entry+`]}`).want(t, 200)
	}
	p := h.do("GET /Patient/p", "").node(t)
	if p.Get("gender").Str() != "other" || p.Path("meta", "versionId").Str() != "4" {
		t.Errorf("%s", p.Raw())
	}
}

// TestPatch_concurrent shows that patches of one resource all take effect though
// each is judged on a version that another may have replaced.
func TestPatch_concurrent(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Patient/p", patient("p", `,"name":[]`)).want(t, 201)
	const writers = 6
	var wg sync.WaitGroup
	status := make([]int, writers)
	for i := range writers {
		wg.Go(func() {
			req, _ := http.NewRequest("PATCH", h.base+"/Patient/p", strings.NewReader(`[{"op":"add","path":"/name/-","value":{"family":"`+strconv.Itoa(i)+`"}}]`))
			req.Header.Set("Content-Type", "application/json-patch+json")
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				status[i] = resp.StatusCode
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	if n := h.do("GET /Patient/p", "").want(t, 200).node(t).Get("name").Len(); n != writers {
		t.Errorf("%d names after %d patches, statuses %v", n, writers, status)
	}
}
