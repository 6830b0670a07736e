package main

import (
	"maps"

	"github.com/qihuang-health/qihuang/adapters/his"
	"github.com/qihuang-health/qihuang/apps/console"
)

// openAPI returns the OpenAPI 3.1 document of what is not FHIR REST (FHIR
// describes itself at /fhir/metadata).
func openAPI(cfg Config) map[string]any {
	paths := map[string]any{}
	maps.Copy(paths, his.OpenAPI())
	maps.Copy(paths, console.OpenAPI())
	ok := func(text string) map[string]any {
		return map[string]any{"200": map[string]any{"description": text}}
	}
	paths["/healthz"] = map[string]any{"get": map[string]any{"summary": "进程存活", "responses": ok("alive")}}
	paths["/readyz"] = map[string]any{"get": map[string]any{"summary": "已追上日志、可以服务", "responses": map[string]any{"200": map[string]any{"description": "ready"}, "503": map[string]any{"description": "正在追赶"}}}}
	paths["/metrics"] = map[string]any{"get": map[string]any{"summary": "Prometheus 指标", "responses": ok("text/plain")}}
	paths["/fhir/metadata"] = map[string]any{"get": map[string]any{"summary": "FHIR CapabilityStatement", "responses": ok("application/fhir+json")}}
	return map[string]any{"openapi": "3.1.0",
		"info":    map[string]any{"title": "岐黄 省级中医馆数据中心", "version": version, "description": "医馆推送、控制台接口。FHIR R4 接口见 /fhir/metadata。"},
		"servers": []any{map[string]any{"url": "http://" + cfg.addr(cfg.Ports.HTTP)}}, "paths": paths}
}
