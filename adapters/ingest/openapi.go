package ingest

// OpenAPI returns the OpenAPI 3.1 path items of the general doors.
func OpenAPI() map[string]any {
	text := map[string]any{"type": "string"}
	body := map[string]any{}
	source := map[string]any{"name": "source", "in": "path", "required": true, "description": "配置 sources 里的名称", "schema": text}
	outcome := map[string]any{"description": "OperationOutcome：问题与位置；原文已留存", "content": map[string]any{"application/fhir+json": map[string]any{}}}
	return map[string]any{
		"/ingest/{source}": map[string]any{"post": map[string]any{"summary": "通用消息入口：落盘后才确认",
			"parameters":  []any{source, map[string]any{"name": "Idempotency-Key", "in": "header", "schema": text, "description": "同一键只生效一次；没有时按内容识别"}},
			"requestBody": map[string]any{"required": true, "content": map[string]any{"application/json": body, "application/xml": body, "application/fhir+json": body, "application/fhir+xml": body, "x-application/hl7-v2+er7": body}},
			"responses": map[string]any{"202": map[string]any{"description": "已落盘", "content": map[string]any{"application/json": map[string]any{"schema": map[string]any{"type": "object",
				"required": []string{"id", "status"}, "properties": map[string]any{"id": text, "status": text, "kind": text}}}}},
				"400": outcome, "401": outcome, "404": outcome, "413": outcome, "429": outcome, "503": outcome}}},
		"/soap/{source}": map[string]any{
			"get": map[string]any{"summary": "WSDL", "parameters": []any{source}, "responses": map[string]any{"200": map[string]any{"description": "WSDL 1.1"}}},
			"post": map[string]any{"summary": "通用 SOAP 1.1/1.2 入口：RPC、文档、MTOM", "parameters": []any{source},
				"requestBody": map[string]any{"required": true, "content": map[string]any{"text/xml": body, "application/soap+xml": body, "multipart/related": body}},
				"responses":   map[string]any{"200": map[string]any{"description": "已落盘"}, "500": map[string]any{"description": "SOAP Fault"}}}},
	}
}
