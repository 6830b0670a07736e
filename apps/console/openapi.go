package console

import "maps"

// OpenAPI returns the OpenAPI 3.1 path items of the console API.
func OpenAPI() map[string]any {
	response := func(text string, schema map[string]any) map[string]any {
		return map[string]any{"description": text, "content": map[string]any{"application/json": map[string]any{"schema": schema}}}
	}
	id := []any{map[string]any{"name": "id", "in": "path", "required": true, "schema": map[string]any{"type": "string"}}}
	text := map[string]any{"type": "string"}
	failed := response("没有这条消息", map[string]any{"type": "object", "properties": map[string]any{"error": text, "message": text}})
	item := map[string]any{"type": "object", "required": []string{"id", "source", "time", "reason", "location"}, "properties": map[string]any{
		"id": text, "source": text, "kind": text, "time": map[string]any{"type": "string", "format": "date-time"}, "reason": text, "location": text, "attempts": map[string]any{"type": "integer"}}}
	paths := map[string]any{
		"/api/dead-letters": map[string]any{"get": map[string]any{"summary": "待修复消息，最新在前",
			"parameters": []any{map[string]any{"name": "limit", "in": "query", "schema": map[string]any{"type": "integer", "minimum": 0, "maximum": 10000, "default": 100}}},
			"responses": map[string]any{"200": response("列表", map[string]any{"type": "object", "required": []string{"total", "items"}, "properties": map[string]any{
				"total": map[string]any{"type": "integer"}, "items": map[string]any{"type": "array", "items": item}}})}}},
		"/api/dead-letters/{id}/raw": map[string]any{"get": map[string]any{"summary": "原文，逐字节", "parameters": id,
			"responses": map[string]any{"200": map[string]any{"description": "原文", "content": map[string]any{"application/octet-stream": map[string]any{}}}, "404": failed}}},
		"/api/dead-letters/{id}/replay": map[string]any{"post": map[string]any{"summary": "重放", "parameters": id,
			"responses": map[string]any{"202": response("已交给处理", map[string]any{"type": "object"}), "404": failed}}},
		"/api/status": map[string]any{"get": map[string]any{"summary": "运行情况", "responses": map[string]any{"200": response("计数与组件", map[string]any{"type": "object"})}}},
		"/api/charts/{name}": map[string]any{"get": map[string]any{"summary": "首页图表数据", "parameters": []any{map[string]any{"name": "name", "in": "path", "required": true,
			"schema": map[string]any{"enum": []string{"visits", "prescriptions", "diseases", "syndromes"}}}}, "responses": map[string]any{"200": response("数据", map[string]any{"type": "object"})}}},
	}
	maps.Copy(paths, flowPaths())
	return paths
}
