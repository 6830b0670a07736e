package rest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/adapters/cda/rest"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/operation"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
)

// start serves the operations and returns the base and a document of a template.
func start(t *testing.T) (base string, document func(code string) []byte) {
	t.Helper()
	cat, err := cda.Load()
	if err != nil {
		t.Fatal(err)
	}
	checker, err := cda.NewChecker(cat)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.New(cat, checker, time.FixedZone("CST", 8*3600))
	if err != nil {
		t.Fatal(err)
	}
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	find := search.NewEngine(model, fhirpath.NewEngine(model))
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: find})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	ops := append(rest.WithDocument(m, operation.All(operation.Parts{})), rest.Operations(m)...)
	s, err := server.New(server.Default(), server.Parts{Store: st, Model: model, Search: find, Log: slog.New(slog.DiscardHandler), Operations: ops})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	s.Mount(r)
	ts := httptest.NewServer(r)
	t.Cleanup(func() { ts.Close(); s.Close(); cancel(); <-ran })
	return ts.URL + "/fhir", func(code string) []byte {
		tp := cat.Template(code)
		return cda.Append(nil, cda.Specimen(cat, tp), tp)
	}
}

// ask sends a request; header is name, value pairs.
func ask(t *testing.T, method, url string, body []byte, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(out)
}

func TestFromCDATakesWhatClientsSend(t *testing.T) {
	base, document := start(t)
	doc := document("C0002")
	gbk, err := simplifiedchinese.GBK.NewEncoder().Bytes(doc)
	if err != nil {
		t.Fatal(err)
	}
	binary := []byte(`{"resourceType":"Binary","contentType":"application/xml","data":"` + base64.StdEncoding.EncodeToString(doc) + `"}`)
	for name, c := range map[string]struct {
		ctype string
		body  []byte
	}{"application/xml": {"application/xml", doc}, "text/xml": {"text/xml; charset=utf-8", doc}, "cda+xml": {"application/hl7-cda+xml", doc}, "curl's default": {"application/x-www-form-urlencoded", doc},
		"GBK": {"application/xml; charset=GBK", gbk}, "Binary": {"application/fhir+json", binary}} {
		res, body := ask(t, "POST", base+"/$from-cda", c.body, "Content-Type", c.ctype)
		if res.StatusCode != 200 || !strings.HasPrefix(body, `{"resourceType":"Bundle","type":"document"`) || !strings.Contains(body, "张三") {
			t.Errorf("%s: %d %.200s", name, res.StatusCode, body)
		}
	}
}

func TestFromCDA_bad(t *testing.T) {
	base, document := start(t)
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"wrong template": {strings.Replace(string(document("C0002")), `2.1.1.22"`, `2.1.1.23"`, 1), 422, "C0003"},
		"doctype":        {`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, 400, "DTD"},
		"no document":    {`{"resourceType":"Patient"}`, 400, "Binary"},
		"cut short":      {string(document("C0002")[:3000]), 400, "line 2"},
		"empty":          {"", 400, "POST"},
	} {
		res, body := ask(t, "POST", base+"/$from-cda", []byte(c.body), "Content-Type", "application/xml")
		if res.StatusCode != c.status || !strings.Contains(body, "OperationOutcome") || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %.400s", name, res.StatusCode, body)
		}
	}
	res, body := ask(t, "POST", base+"/$from-cda", []byte(strings.Replace(string(document("C0002")), `code="10154-3"`, `code="1"`, 1)), "Content-Type", "application/xml")
	if res.StatusCode != 200 || !strings.Contains(body, "缺少章节：主诉") || res.Header.Get(rest.WarningsHeader) == "0" {
		t.Errorf("a missing section is not reported: %d %.200s", res.StatusCode, body)
	}
}

func TestToCDAAndDocument(t *testing.T) {
	base, document := start(t)
	_, b := ask(t, "POST", base+"/$from-cda", document("C0005"), "Content-Type", "application/xml")
	res, doc := ask(t, "POST", base+"/$to-cda", []byte(b), "Content-Type", "application/fhir+json")
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/xml") || !strings.Contains(doc, `<templateId root="2.16.156.10011.2.1.1.25"/>`) {
		t.Fatalf("%d %s %.300s", res.StatusCode, res.Header, doc)
	}
	params := `{"resourceType":"Parameters","parameter":[{"name":"template","valueCode":"C0002"},{"name":"bundle","resource":` + b + `}]}`
	res, doc = ask(t, "POST", base+"/$to-cda", []byte(params), "Content-Type", "application/fhir+json", "Accept", "application/fhir+json")
	if res.StatusCode != 200 || !strings.HasPrefix(doc, `{"resourceType":"Parameters"`) || !strings.Contains(doc, "没有位置") {
		t.Errorf("%d %.300s", res.StatusCode, doc)
	}
	if res, doc = ask(t, "POST", base+"/$to-cda?template=C0099", []byte(b), "Content-Type", "application/fhir+json"); res.StatusCode != 400 || !strings.Contains(doc, "C0001…C0053") {
		t.Errorf("%d %.300s", res.StatusCode, doc)
	}
	tx := strings.Replace(b, `"type":"document"`, `"type":"batch"`, 1)
	for part := range strings.SplitSeq(tx, `{"fullUrl":"`+base+"/") {
		ref, rest, ok := strings.Cut(part, `","resource":`)
		resource := strings.TrimSuffix(strings.TrimSuffix(rest, "]}"), ",")
		if !ok || strings.HasPrefix(ref, "OperationOutcome") {
			continue
		}
		if res, body := ask(t, "PUT", base+"/"+ref, []byte(strings.TrimSuffix(resource, "}")), "Content-Type", "application/fhir+json"); res.StatusCode != 201 {
			t.Fatalf("%s: %d %.300s", ref, res.StatusCode, body)
		}
	}
	id := bundle.CompositionID("370000000001", "SPECIMEN-C0005")
	res, again := ask(t, "GET", base+"/Composition/"+id+"/$document?_format=cda", nil)
	if res.StatusCode != 200 || !strings.Contains(again, "SPECIMEN-C0005") || !strings.Contains(again, "桂枝") {
		t.Errorf("%d %.300s", res.StatusCode, again)
	}
	if res, body := ask(t, "GET", base+"/Composition/"+id+"/$document", nil, "Accept", "application/fhir+json"); res.StatusCode != 200 || !strings.HasPrefix(body, `{"resourceType":"Bundle"`) {
		t.Errorf("%d %.100s", res.StatusCode, body)
	}
	if res, _ := ask(t, "GET", base+"/Composition/"+id+"/$document?_format=pdf", nil); res.StatusCode != 406 {
		t.Errorf("an unknown format: %d", res.StatusCode)
	}
}
