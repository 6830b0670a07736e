package guide

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

// serve returns a getter of pages; template errors fail the test.
func serve(t *testing.T) (*App, func(path string) (int, string)) {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	terms := terminology.New(m)
	var codes [][]byte
	for _, b := range conformance.Terminology() {
		codes = append(codes, b)
	}
	if err := terms.Include(codes...); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a, err := New(Config{Version: "test", Zone: time.UTC, Local: true}, terms, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	a.Mount(r)
	return a, func(path string) (int, string) {
		t.Helper()
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if log.Len() > 0 {
			t.Errorf("%s: %s", path, log.String())
			log.Reset()
		}
		return w.Code, w.Body.String()
	}
}

// TestEveryPage opens every artefact from the index: each is shown, links back,
// and stays small enough for 400 kbit/s.
func TestEveryPage(t *testing.T) {
	a, get := serve(t)
	code, index := get("/guide")
	if code != http.StatusOK {
		t.Fatalf("index: %d", code)
	}
	pages := 0
	for _, c := range a.chapters {
		if len(c.Items) == 0 {
			t.Errorf("chapter %s is empty", c.Title)
		}
		for _, x := range c.Items {
			pages++
			if !strings.Contains(index, `href="`+x.Path()+`"`) {
				t.Errorf("the index has no link to %s", x.Path())
			}
			code, body := get(x.Path())
			if code != http.StatusOK || !strings.Contains(body, "</html>") || !strings.Contains(body, `href="/guide"`) {
				t.Errorf("%s: %d, %d bytes", x.Path(), code, len(body))
			}
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			if _, err := io.WriteString(z, body); err != nil || z.Close() != nil || zipped.Len() > 50_000 {
				t.Errorf("%s: %d bytes to transfer", x.Path(), zipped.Len())
			}
			if code, body := get(x.Path() + ".json"); code != http.StatusOK || body != string(x.body) {
				t.Errorf("%s.json: %d", x.Path(), code)
			}
		}
	}
	t.Logf("%d pages", pages)
}

func TestPages(t *testing.T) {
	_, get := serve(t)
	for _, c := range []struct {
		name, path string
		code       int
		want       string
	}{
		{"picture_ok", "/guide/StructureDefinition/tcm-herbal-prescription", 200, `<svg class="tree"`},
		{"binding_ok", "/guide/StructureDefinition/tcm-herbal-prescription", 200, `必须取自<a href="/guide/ValueSet/prescription-category"`},
		{"target_ok", "/guide/StructureDefinition/tcm-differentiation", 200, "证素"},
		{"invariant_ok", "/guide/StructureDefinition/tcm-disease", 200, "A17 为临时诊断用术语"},
		{"initials_ok", "/guide/CodeSystem/herb?q=hq", 200, "<code>黄芪</code>"},
		{"aliases_ok", "/guide/CodeSystem/herb?q=" + url.QueryEscape("元胡"), 200, "<code>延胡索</code>"},
		{"paging_ok", "/guide/CodeSystem/gbt-15657-2021", 200, "下一页"},
		{"none_ok", "/guide/CodeSystem/herb?q=zzzzzz", 200, "没有匹配的代码"},
		{"classics_ok", "/guide/CodeSystem/shanghanlun-formula?q=gzt", 200, "桂枝 三两，去皮"},
		{"map_ok", "/guide/ConceptMap/gbt-15657-1995-2021", 200, "A04.04.01.02"},
		{"rules_ok", "/guide/PlanDefinition/rational-use", 200, "18F-1"},
		{"role_ok", "/guide/CapabilityStatement/his-source", 200, "中药处方"},
		{"form_ok", "/guide/Questionnaire/constitution-60", 200, "您精力充沛吗"},
		{"example_ok", "/guide/Claim/example-claim", 200, "规范：<a href=\"/guide/StructureDefinition/tcm-claim\""},
		{"unknown_bad", "/guide/CodeSystem/nothing", 404, "请从目录重新进入"},
		{"from_bad", "/guide/CodeSystem/herb?from=x", 400, "from 应为"},
		{"long_bad", "/guide/CodeSystem/herb?q=" + strings.Repeat("a", 300), 400, "检索词过长"},
		{"script_bad", "/guide/CodeSystem/herb?q=%3Cscript%3E", 200, "&lt;script&gt;"},
	} {
		code, body := get(c.path)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d, wanted %d with %q", c.name, code, c.code, c.want)
		}
	}
}

// TestPackage unpacks the download.
func TestPackage(t *testing.T) {
	_, get := serve(t)
	_, body := get("/guide/package.tgz")
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = true
	}
	for _, want := range []string{"package/package.json", "package/.index.json", "package/ImplementationGuide-qihuang.tcm.json", "package/StructureDefinition-tcm-herbal-prescription.json", "package/example/.index.json"} {
		if !files[want] {
			t.Errorf("the package has no %s", want)
		}
	}
	if len(files) < 200 {
		t.Errorf("%d files", len(files))
	}
}
