package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/rest"
)

// exposed are the header fields a browser script may read.
const exposed = "Content-Location, ETag, Last-Modified, Location, Retry-After, X-Progress, X-Qihuang-Offset, X-Request-Id"

// cors sets the CORS fields (Fetch standard) and answers OPTIONS; it reports
// whether the request is answered.
func (s *Server) cors(c *gin.Context) bool {
	h := c.Writer.Header()
	origin := c.Request.Header.Get("Origin")
	if origin != "" {
		h.Add("Vary", "Origin")
		if allowed := s.origin(origin); allowed != "" {
			h.Set("Access-Control-Allow-Origin", allowed)
			h.Set("Access-Control-Expose-Headers", exposed)
		}
	}
	if c.Request.Method != http.MethodOptions {
		return false
	}
	t, err := s.target(strings.TrimPrefix(c.Request.URL.Path, "/fhir"))
	if err != nil {
		s.refuse(c, &Request{ID: h.Get(headerRequest), English: rest.English(c.Request.Header.Get("Accept-Language"))}, err)
		return true
	}
	allow := strings.Join(s.allowed(&Request{Target: t}), ", ")
	h.Set("Allow", allow)
	if origin != "" && c.Request.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", allow)
		h.Set("Access-Control-Max-Age", "600")
		if want := c.Request.Header.Get("Access-Control-Request-Headers"); want != "" {
			h.Set("Access-Control-Allow-Headers", want)
		}
	}
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return true
}

// origin returns the value of Access-Control-Allow-Origin, "" if not allowed.
func (s *Server) origin(origin string) string {
	if slices.Contains(s.cfg.Origins, "*") {
		return "*"
	}
	if slices.Contains(s.cfg.Origins, origin) {
		return origin
	}
	return ""
}
