package features_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/features"
)

func TestPage(t *testing.T) {
	a, err := features.New(features.Config{Version: "test", Zone: time.UTC, Local: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	a.Mount(r)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/fhir-conformance", nil))
	for _, want := range []string{"$graphql", "fhir/operation.TestPurge", "演示/本机模式", "坏输入"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if w.Code != 200 || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
