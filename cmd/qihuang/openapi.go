package main

import (
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/cda/intake"
	"github.com/qihuang-health/qihuang/adapters/his"
	"github.com/qihuang-health/qihuang/adapters/ingest"
	"github.com/qihuang-health/qihuang/adapters/ncms/ledger"
	"github.com/qihuang-health/qihuang/adapters/region"
	"github.com/qihuang-health/qihuang/apps/console"
	"github.com/qihuang-health/qihuang/apps/workbench"
	"github.com/qihuang-health/qihuang/fhir/openapi"
	"github.com/qihuang-health/qihuang/fhir/server"
)

// openAPI answers with the OpenAPI 3.1 description of every door, made once
// when first asked for.
func openAPI(s *server.Server) gin.HandlerFunc {
	doc := sync.OnceValues(func() ([]byte, error) {
		b := openapi.New("岐黄 省级中医馆数据中心", version)
		b.AddPaths(his.OpenAPI())
		b.AddPaths(intake.OpenAPI())
		b.AddPaths(console.OpenAPI())
		b.AddPaths(ingest.OpenAPI())
		b.AddPaths(workbench.OpenAPI())
		b.AddPaths(ledger.OpenAPI(ncmsName))
		b.AddPaths(region.OpenAPI())
		ok := func(text string) map[string]openapi.Response {
			return map[string]openapi.Response{"200": {Description: text}}
		}
		b.Add("GET", "/healthz", openapi.Operation{Summary: "进程存活", Responses: ok("alive")})
		b.Add("GET", "/readyz", openapi.Operation{Summary: "已追上日志、可以服务",
			Responses: map[string]openapi.Response{"200": {Description: "ready"}, "503": {Description: "正在追赶"}}})
		b.Add("GET", "/metrics", openapi.Operation{Summary: "Prometheus 指标", Responses: ok("text/plain")})
		if err := s.OpenAPI(b); err != nil {
			return nil, err
		}
		return b.JSON()
	})
	return func(c *gin.Context) {
		b, err := doc()
		if err != nil {
			_ = c.AbortWithError(http.StatusInternalServerError, err)
			return
		}
		c.Data(http.StatusOK, "application/json; charset=utf-8", b)
	}
}
