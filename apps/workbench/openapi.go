package workbench

// OpenAPI returns the OpenAPI 3.1 path items of the workbench API.
func OpenAPI() map[string]any {
	text := map[string]any{"type": "string"}
	object := map[string]any{"type": "object"}
	body := func(schema any) map[string]any {
		return map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": schema}}}
	}
	answers := func(words string) map[string]any {
		content := map[string]any{"application/json": map[string]any{"schema": object}}
		return map[string]any{"200": map[string]any{"description": words, "content": content},
			"404": map[string]any{"description": "没有", "content": content}, "422": map[string]any{"description": "有误，problems 给出行列", "content": content}}
	}
	query := func(name, words string) any {
		return map[string]any{"name": name, "in": "query", "description": words, "schema": text}
	}
	name := []any{map[string]any{"name": "name", "in": "path", "required": true, "schema": text}}
	draft := map[string]any{"type": "object", "required": []string{"text"}, "properties": map[string]any{"text": text, "message": text, "source": text, "comment": text}}
	coding := map[string]any{"type": "object", "required": []string{"system", "code"}, "properties": map[string]any{"system": text, "code": text, "display": text}}
	approval := map[string]any{"type": "object", "required": []string{"table", "system", "code", "target"}, "properties": map[string]any{
		"table": text, "system": text, "code": text, "display": text, "target": coding, "wider": map[string]any{"type": "boolean"}}}
	op := func(summary string, parts map[string]any, words string) map[string]any {
		out := map[string]any{"summary": summary, "responses": answers(words)}
		for k, v := range parts {
			out[k] = v
		}
		return out
	}
	return map[string]any{
		"/api/codes":         map[string]any{"get": op("未对照的代码：来源、次数、候选", nil, "列表")},
		"/api/codes/suggest": map[string]any{"get": op("按名称、拼音或首字母找标准代码", map[string]any{"parameters": []any{query("q", "词"), query("table", "代码表，如 diagnosis")}}, "候选")},
		"/api/codes/approve": map[string]any{"post": op("确认对应：写入 ConceptMap 新版本并重放", map[string]any{"requestBody": body(approval)}, "重放的条数")},
		"/api/maps":          map[string]any{"get": op("在用的映射", nil, "列表")},
		"/api/maps/{name}": map[string]any{"get": op("映射的文本与版本", map[string]any{"parameters": name}, "映射"),
			"put": op("保存为新版本并启用", map[string]any{"parameters": name, "requestBody": body(draft)}, "版本")},
		"/api/maps/{name}/preview":  map[string]any{"post": op("试编译、试做一条消息，不写入", map[string]any{"parameters": name, "requestBody": body(draft)}, "问题、树、资源、来处")},
		"/api/maps/{name}/versions": map[string]any{"get": op("保存过的版本", map[string]any{"parameters": name}, "列表")},
		"/api/maps/{name}/diff":     map[string]any{"get": op("比较两个版本", map[string]any{"parameters": append(name[:1:1], query("from", "版本，0 为最初"), query("to", "版本，空为在用"))}, "改动的行")},
		"/api/maps/{name}/rollback": map[string]any{"post": op("回退", map[string]any{"parameters": name, "requestBody": body(map[string]any{"type": "object", "required": []string{"version"},
			"properties": map[string]any{"version": map[string]any{"type": "integer"}}})}, "新版本")},
	}
}
