package main

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// answerUnknown makes r answer what no door is made for: 404 for an address,
// 405 with Allow for a method. Below /fhir that is for the FHIR server to say.
func answerUnknown(r *gin.Engine, s *server.Server) {
	r.HandleMethodNotAllowed = true
	r.NoRoute(func(c *gin.Context) {
		if !s.Unknown(c) {
			refuseAddress(c, http.StatusNotFound, fault.NotFound, "没有这个地址。请从首页 / 进入，接口清单见 /openapi.json")
		}
	})
	r.NoMethod(func(c *gin.Context) {
		if !s.Unknown(c) {
			refuseAddress(c, http.StatusMethodNotAllowed, fault.Unsupported, "此地址不支持 "+c.Request.Method+"，可用的方法见 Allow 头")
		}
	})
}

// answerHead lets HEAD be what GET is without the body, as load balancers and
// link checkers expect of every address; the FHIR server has its own way.
func answerHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && !strings.HasPrefix(r.URL.Path, "/fhir/") {
			get := *r // the server leaves out the body by the request it knows
			get.Method = http.MethodGet
			r = &get
		}
		next.ServeHTTP(w, r)
	})
}

// refuseAddress answers browsers with a sentence and programs with JSON.
func refuseAddress(c *gin.Context, status int, kind fault.Kind, text string) {
	if strings.Contains(c.GetHeader("Accept"), "text/html") {
		c.String(status, text)
		return
	}
	c.JSON(status, gin.H{"error": kind.String(), "message": text})
}
