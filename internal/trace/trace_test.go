package trace_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/trace"
)

// TestExport sends a request through the middleware and finds it at a collector,
// with the caller's trace id and without the query.
func TestExport(t *testing.T) {
	got := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + "\n" + string(b)
	}))
	defer collector.Close()
	tr, err := trace.Open(t.Context(), trace.Config{Endpoint: collector.URL, Ratio: 0}, "test")
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	r.Use(tr.Middleware())
	r.GET("/fhir/*path", func(c *gin.Context) {
		_, span := tr.Tracer().Start(c.Request.Context(), "inner")
		span.End()
		c.String(http.StatusInternalServerError, "x")
	})
	req := httptest.NewRequest("GET", "/fhir/Patient?name=secret", nil)
	req.Header.Set("traceparent", "00-11223344556677889900aabbccddeeff-1122334455667788-01")
	r.ServeHTTP(httptest.NewRecorder(), req)
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/fhir/untraced", nil)) // ratio 0
	if err := tr.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	sent := <-got
	for _, want := range []string{"/v1/traces\n", "GET /fhir/*path", "inner", "\x11\x22\x33\x44\x55\x66\x77\x88\x99\x00\xaa\xbb\xcc\xdd\xee\xff", "qihuang"} {
		if !strings.Contains(sent, want) {
			t.Errorf("%q was not sent: %q", want, sent)
		}
	}
	if strings.Contains(sent, "secret") || strings.Contains(sent, "untraced") {
		t.Errorf("too much was sent: %q", sent)
	}
}

func TestOff(t *testing.T) {
	tr, err := trace.Open(t.Context(), trace.Config{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tr.Tracer().Start(t.Context(), "x")
	if span.IsRecording() {
		t.Error("traces without an endpoint")
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfig_bad(t *testing.T) {
	for _, c := range []trace.Config{{Endpoint: "collector:4318"}, {Endpoint: "ftp://x"}, {Ratio: 2}, {Ratio: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
