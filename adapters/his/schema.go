package his

import (
	"encoding/json"
	"reflect"
)

// Schema returns the JSON Schema (2020-12) of a visit document, made from the
// same struct tags the decoder reads.
func Schema() []byte {
	s := describe(shapeOf(reflect.TypeFor[Document]()))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "https://qihuang.health/schema/his-visit"
	s["title"] = "就诊文档（POST /ingest/his）"
	out, err := json.MarshalIndent(s, "", " ")
	if err != nil { // maps of strings, lists and maps always encode
		return nil
	}
	return out
}

// describe writes one object. Members we do not know are allowed: they are
// ignored with a warning.
func describe(s *shape) map[string]any {
	members, required := map[string]any{}, []string{}
	for _, m := range s.order {
		one := map[string]any{"type": []string{"string", "number", "null"}}
		switch {
		case m.object != nil:
			one = describe(m.object)
		case m.scalar.set != nil:
			one = map[string]any{}
			for k, v := range m.scalar.schema {
				one[k] = v
			}
		}
		if m.list {
			one = map[string]any{"type": []string{"array", "null"}, "items": one}
		}
		one["description"] = m.doc
		if m.need {
			required = append(required, m.name)
		}
		members[m.name] = one
	}
	out := map[string]any{"type": "object", "properties": members, "additionalProperties": true}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// OpenAPI returns the OpenAPI 3.1 path items of the door, to be put under
// "paths" of the hub's document.
func OpenAPI() map[string]any {
	outcome := map[string]any{"application/fhir+json": map[string]any{"schema": map[string]any{"type": "object",
		"description": "OperationOutcome，含位置与修改提示"}}}
	answer := func(text string) map[string]any { return map[string]any{"description": text, "content": outcome} }
	paths := map[string]any{
		"/ingest/his": map[string]any{"post": map[string]any{
			"summary":     "接收一份就诊文档",
			"description": "落盘（fsync）后才确认。同一文档重复发送只生效一次。",
			"requestBody": map[string]any{"required": true, "content": map[string]any{
				"application/json": map[string]any{"schema": json.RawMessage(Schema())}}},
			"responses": map[string]any{
				"202": map[string]any{"description": "已落盘", "content": map[string]any{"application/json": map[string]any{
					"schema": map[string]any{"type": "object", "required": []string{"id", "status"}, "properties": map[string]any{
						"id": map[string]any{"type": "string"}, "status": map[string]any{"const": "accepted"}}}}}},
				"400": answer("不是 JSON、编码无法识别、缺必填项或值无法识别；原文进入死信"),
				"413": answer("超过大小上限；开头部分进入死信"), "422": answer("代码未知；原文进入死信"),
				"429": answer("队列已满，请稍后重发"), "503": answer("暂时无法落盘，请稍后重发")}}},
		"/ingest/his/schema": map[string]any{"get": map[string]any{"summary": "就诊文档的 JSON Schema",
			"responses": map[string]any{"200": map[string]any{"description": "JSON Schema 2020-12"}}}},
	}
	for name, s := range services {
		if s.kind == "" && s.pull == nil {
			continue
		}
		paths["/services/"+name] = map[string]any{
			"get": map[string]any{"summary": "WSDL（加 ?wsdl）", "responses": map[string]any{"200": map[string]any{"description": "WSDL 1.1"}}},
			"post": map[string]any{"summary": s.doc, "description": "SOAP 1.1 RPC acceptMessage(String)",
				"requestBody": map[string]any{"required": true, "content": map[string]any{"text/xml": map[string]any{}}},
				"responses": map[string]any{"200": map[string]any{"description": "acceptMessageReturn"},
					"500": map[string]any{"description": "SOAP Fault"}}},
		}
	}
	return paths
}
