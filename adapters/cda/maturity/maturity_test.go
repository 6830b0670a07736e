package maturity

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var now = time.Date(2026, 10, 12, 9, 0, 0, 0, time.UTC)

func parts(t *testing.T) Parts {
	t.Helper()
	c, err := cda.Load()
	if err != nil {
		t.Fatal(err)
	}
	k, err := cda.NewChecker(c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.New(c, k, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return Parts{Catalogue: c, Checker: k, Mapper: m, Version: "test", Now: func() time.Time { return now }}
}

func TestReportWithoutAHub(t *testing.T) {
	r, err := Check(context.Background(), parts(t))
	if err != nil {
		t.Fatal(err)
	}
	documents := r.Parts[1]
	passed := 0
	for _, i := range documents.Items {
		if i.Share == 1 {
			passed++
		} else {
			t.Errorf("%s %s: %v", i.ID, i.Name, i.Missing)
		}
	}
	shared.Figure(t, "WS/T 500 templates in the accreditation report", passed, len(documents.Items))
	if r.Max != WeightDatasets+WeightDocuments || r.Score >= r.Max || r.Score < 50 {
		t.Errorf("%.1f of %.0f", r.Score, r.Max)
	}
	for _, i := range r.Parts[2].Items {
		if !i.Unknown {
			t.Errorf("%s was looked at without a hub", i.ID)
		}
	}
	for _, p := range r.Parts {
		for _, i := range p.Items {
			if i.Share < 1 && !i.Unknown && i.Missing == nil {
				t.Errorf("%s %s fails and does not say what is missing", p.Name, i.ID)
			}
		}
	}
}

// hub answers from a map of paths.
type hub map[string]string

func (h hub) Base() string { return "http://hub" }

func (h hub) Get(_ context.Context, path string) (int, []byte, http.Header, error) {
	path, _, _ = strings.Cut(path, "?")
	body, ok := h[path]
	if !ok {
		return 404, nil, nil, nil
	}
	if body == "away" {
		return 0, nil, nil, errors.New("away")
	}
	return 200, []byte(body), http.Header{"Date": {now.Format(http.TimeFormat)}}, nil
}

// paths finds any value of the first member named.
type paths struct{}

func (paths) Exists(expression string, n fhir.Node) (bool, error) {
	words := strings.FieldsFunc(expression, func(r rune) bool { return r == '.' || r == '(' })
	return n.Path(words[1:2]...).Exists(), nil
}

func TestReportOfAHub(t *testing.T) {
	p := parts(t)
	p.Paths = paths{}
	p.Hub = hub{
		"/fhir/metadata": `{"resourceType":"CapabilityStatement","rest":[{"operation":[{"name":"to-cda"},{"name":"from-cda"},{"name":"expand"}],
			"resource":[{"type":"Patient","interaction":[{"code":"search-type"},{"code":"update"}]},{"type":"Composition","operation":[{"name":"document"}]}]}]}`,
		"/openapi.json":   `{"paths":{"/ingest/cda":{}}}`,
		"/fhir/Patient":   `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","name":[{"text":"张三"}]}}]}`,
		"/fhir/Encounter": "away",
	}
	r, err := Check(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"WS/T 790.2": "通过", "WS/T 790.3": "未通过", "WS/T 790.6": "通过", "WS/T 790.9": "部分", "WS/T 790.12": "通过", "WS/T 790.13": "通过", "WS/T 790.15": "未通过"}
	for _, i := range r.Parts[2].Items {
		if w := want[i.ID]; w != "" && i.Status() != w {
			t.Errorf("%s %s: %s, want %s (%v)", i.ID, i.Name, i.Status(), w, i.Missing)
		}
	}
	alone, err := Check(context.Background(), parts(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Parts[0].Score >= alone.Parts[0].Score || r.Max != 100 {
		t.Errorf("an almost empty hub scores %.1f of %.0f for data sets", r.Parts[0].Score, r.Max)
	}
	var text, page bytes.Buffer
	if err := errors.Join(r.Text(&text, false), r.HTML(&page)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"总分", "抽样数据中没有", "未以 HTTPS 提供服务", "本项目自拟"} {
		if !strings.Contains(text.String(), s) || !strings.Contains(page.String(), s) && s != "总分" {
			t.Errorf("%q is not in the report", s)
		}
	}
}
