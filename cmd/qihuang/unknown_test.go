package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/server"
)

func TestUnknownAddressesAreExplained(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	answerUnknown(r, &server.Server{})
	r.POST("/ingest/his", func(c *gin.Context) { c.Status(http.StatusAccepted) })
	for _, c := range []struct {
		method, path, accept string
		status               int
		allow, kind, body    string
	}{
		{"GET", "/nothing", "text/html,*/*", 404, "", "text/plain", "没有这个地址"},
		{"POST", "/api/nothing", "*/*", 404, "", "application/json", `"error":"not-found"`},
		{"GET", "/ingest/his", "", 405, "POST", "application/json", "此地址不支持 GET"},
		{"POST", "/ingest/his", "", 202, "", "", ""},
	} {
		req := httptest.NewRequest(c.method, c.path, nil)
		req.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != c.status || w.Header().Get("Allow") != c.allow || !strings.HasPrefix(w.Header().Get("Content-Type"), c.kind) || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, w.Code, w.Header(), w.Body)
		}
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	answerUnknown(r, &server.Server{})
	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "alive") })
	ts := httptest.NewServer(answerHead(r))
	defer ts.Close()
	for path, want := range map[string]int{"/healthz": 200, "/nothing": 404} {
		res, err := http.Head(ts.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want || res.ContentLength <= 0 {
			t.Errorf("HEAD %s: %d, length %d", path, res.StatusCode, res.ContentLength)
		}
	}
}
