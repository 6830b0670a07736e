package region

// OpenAPI returns the OpenAPI 3.1 path items of the exchange with other
// platforms.
func OpenAPI() map[string]any {
	text := map[string]any{"type": "string"}
	object := map[string]any{"type": "object"}
	param := func(name, in string) map[string]any {
		return map[string]any{"name": name, "in": in, "required": true, "schema": text}
	}
	answers := func(ok string) map[string]any {
		out := map[string]any{"200": map[string]any{"description": ok, "content": map[string]any{"application/json": map[string]any{"schema": object}}}}
		for code, words := range map[string]string{"400": "内容有误", "401": "令牌不对", "403": "签名不符", "404": "没有这个平台", "503": "对方不通"} {
			out[code] = map[string]any{"description": words, "content": map[string]any{"application/fhir+json": map[string]any{"schema": object}}}
		}
		return out
	}
	post := func(summary, ok, media string, params ...any) map[string]any {
		op := map[string]any{"summary": summary, "responses": answers(ok)}
		if media != "" {
			op["requestBody"] = map[string]any{"required": true, "content": map[string]any{media: map[string]any{"schema": object}}}
		}
		if len(params) > 0 {
			op["parameters"] = params
		}
		return map[string]any{"post": op}
	}
	get := func(summary, ok string, params ...any) map[string]any {
		op := map[string]any{"summary": summary, "responses": answers(ok)}
		if len(params) > 0 {
			op["parameters"] = params
		}
		return map[string]any{"get": op}
	}
	feed := get("资源流的一页：after 之后的变更，已签名", "一页", map[string]any{"name": "after", "in": "query", "schema": map[string]any{"type": "integer", "default": 0}})
	feed["post"] = post("接收对方推送的一页", "收下的条数", "application/json")["post"]
	return map[string]any{
		"/region/key":                        get("本平台的签名公钥（PEM）", "公钥"),
		"/region/feed":                       feed,
		"/region/feed/cursor":                get("对方的资源流收到哪里", "位置", param("source", "query")),
		"/api/regions/{peer}/pull":           post("按需取对方的资源流", "结果", "", param("peer", "path")),
		"/api/regions/{peer}/push":           post("按需推给对方", "结果", "", param("peer", "path")),
		"/api/regions/{peer}/documents/{id}": post("把一份文档提交给对方（XDS 元数据，SOAP）", "已提交", "", param("peer", "path"), param("id", "path")),
		"/services/region":                   post("WS/T 790/846 式 SOAP 消息", "应答消息，Code 为 AA 或 AE", "text/xml"),
		"/ingest/region":                     post("区域平台的处方 JSON", "已落盘", "application/json", param("org", "query")),
	}
}
