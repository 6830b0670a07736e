package console

// flowPaths are the path items of sources, messages, replays and alerts.
func flowPaths() map[string]any {
	text, whole := map[string]any{"type": "string"}, map[string]any{"type": "integer"}
	object := func(members map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": members}
	}
	ok := func(words string, schema map[string]any) map[string]any {
		failed := map[string]any{"description": "请求有误或没有这一项", "content": map[string]any{"application/json": map[string]any{"schema": object(map[string]any{"error": text, "message": text})}}}
		return map[string]any{"200": map[string]any{"description": words, "content": map[string]any{"application/json": map[string]any{"schema": schema}}}, "400": failed, "404": failed}
	}
	list := func(item map[string]any) map[string]any {
		return object(map[string]any{"items": map[string]any{"type": "array", "items": item}, "next": text})
	}
	in := func(where string, names ...string) (out []any) {
		for _, n := range names {
			out = append(out, map[string]any{"name": n, "in": where, "required": where == "path", "schema": text})
		}
		return out
	}
	call := func(method, summary string, params []any, responses map[string]any) map[string]any {
		return map[string]any{method: map[string]any{"summary": summary, "parameters": params, "responses": responses}}
	}
	source := object(map[string]any{"name": text, "kind": text, "paused": map[string]any{"type": "boolean"}, "waiting": whole, "ratePerMinute": map[string]any{"type": "number"},
		"errorPercent": map[string]any{"type": "number"}, "lastMessage": text, "lastError": text, "alerts": whole})
	message := object(map[string]any{"id": text, "source": text, "kind": text, "received": text, "size": whole, "keys": map[string]any{"type": "array"}, "copyOf": text, "fate": object(map[string]any{"state": text, "reason": text, "map": text, "refs": map[string]any{"type": "array"}})})
	replay := call("post", "按编号、来源、时间、结果或映射版本重放；dryRun 只试算", nil, ok("报告", object(map[string]any{"run": text, "dryRun": map[string]any{"type": "boolean"}, "selected": whole, "good": whole, "bad": whole, "failures": map[string]any{"type": "array"}})))
	replay["post"].(map[string]any)["requestBody"] = map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": object(map[string]any{
		"ids": map[string]any{"type": "array", "items": text}, "source": text, "kind": text, "map": text, "state": text, "since": text, "until": text, "limit": whole, "dryRun": map[string]any{"type": "boolean"}})}}}
	return map[string]any{
		"/api/sources":                       call("get", "来源与健康", nil, ok("列表", list(source))),
		"/api/sources/{name}":                call("get", "一个来源", in("path", "name"), ok("来源", source)),
		"/api/sources/{name}/pause":          call("post", "暂停来源：拉取停止，推送照常落盘、恢复后处理", in("path", "name"), ok("来源", source)),
		"/api/sources/{name}/resume":         call("post", "恢复来源", in("path", "name"), ok("来源", source)),
		"/api/sources/{name}/accept-columns": call("post", "接受新的表结构", in("path", "name"), ok("已接受", object(nil))),
		"/api/messages":                      call("get", "按业务号、来源、结果、时间查消息，最新在前", in("query", "q", "source", "kind", "state", "since", "until", "before", "limit"), ok("列表", list(message))),
		"/api/messages/{id}":                 call("get", "一条消息", in("path", "id"), ok("消息", message)),
		"/api/messages/{id}/raw":             call("get", "原文，逐字节", in("path", "id"), ok("原文", object(nil))),
		"/api/messages/{id}/trace":           call("get", "追踪：原文、内容与去向、映射步骤、资源、数据仓库的行", in("path", "id"), ok("追踪", object(nil))),
		"/api/dead-letters/{id}/edit":        call("post", "提交修改后的副本（请求体为全文）；原文保留", in("path", "id"), ok("副本", object(map[string]any{"id": text, "copyOf": text}))),
		"/api/replay":                        replay,
		"/api/alerts":                        call("get", "告警", nil, ok("列表", list(object(map[string]any{"id": text, "source": text, "kind": text, "text": text, "opened": text, "closed": text})))),
		"/api/alerts/{id}/acknowledge":       call("post", "知悉告警", in("path", "id"), ok("已知悉", object(nil))),
		"/api/onboarding/{source}":           call("post", "接入自测：请求体为测试消息，不入库", in("path", "source"), ok("逐项读出的内容与缺失", object(map[string]any{"ok": map[string]any{"type": "boolean"}, "kind": text, "lines": map[string]any{"type": "array"}, "missing": map[string]any{"type": "array"}, "planned": map[string]any{"type": "array"}}))),
	}
}
