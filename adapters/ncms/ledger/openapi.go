package ledger

// OpenAPI returns the OpenAPI 3.1 path items of one source's doors.
func OpenAPI(source string) map[string]any {
	text := map[string]any{"type": "string"}
	body := func(schema map[string]any, more ...string) map[string]any {
		content := map[string]any{"application/json": map[string]any{"schema": schema}}
		for _, m := range more {
			content[m] = map[string]any{}
		}
		return map[string]any{"required": true, "content": content}
	}
	outcome := func(text string) map[string]any {
		return map[string]any{"description": text, "content": map[string]any{"application/fhir+json": map[string]any{"schema": map[string]any{"type": "object"}}}}
	}
	rows := map[string]any{"type": "object", "properties": map[string]any{"table": map[string]any{"type": "string", "examples": []string{"NH_BSOFT_JSJL_MZ_DZ"}},
		"rows": map[string]any{"type": "array", "items": map[string]any{"type": "object", "additionalProperties": true}}}}
	day := map[string]any{"type": "string", "format": "date"}
	soap := func(summary, media string) map[string]any {
		return map[string]any{"summary": summary, "requestBody": map[string]any{"required": true, "content": map[string]any{media: map[string]any{}}},
			"responses": map[string]any{"200": map[string]any{"description": "应答；办不成的也是 200，code/infcode 为 -1，msg/err_msg 写明原因"}}}
	}
	return map[string]any{
		"/ingest/" + source: map[string]any{"post": map[string]any{"summary": "医院的结算记录：行、结算文件（?file=）或结算报文",
			"parameters":  []any{map[string]any{"name": HeaderFile, "in": "query", "schema": text, "description": "文件名；请求体是 CSV、DBF 或 XLSX 文件时给出"}},
			"requestBody": body(rows, "text/csv", "application/octet-stream"),
			"responses":   map[string]any{"202": map[string]any{"description": "已落盘"}, "400": outcome("内容有误，指出行与列"), "413": outcome("太大"), "503": outcome("稍后重发")}}},
		"/api/sources/" + source + "/reconcile": map[string]any{"post": map[string]any{"summary": "取中心清单，与医院的行对账（FPHM + DJLSH）",
			"requestBody": body(map[string]any{"type": "object", "required": []string{"from", "hospital"}, "properties": map[string]any{"from": day, "to": day, "hospital": text, "inpatient": map[string]any{"type": "boolean"}}}),
			"responses":   map[string]any{"200": outcome("PaymentReconciliation；detail.type.coding.code 为 1–6"), "400": outcome("日期或医院有误"), "503": outcome("中心不通")}}},
		"/Webservices/" + source + "/HCNWebservices": map[string]any{"post": soap("新农合结算接口（SOAP），?wsdl 为描述；第一个结算来源也在 /Webservices/HCNWebservices", "text/xml")},
		"/Webservices/" + source + "/yb":             map[string]any{"post": soap("国家医保结算接口（JSON 报文）；第一个结算来源也在 /Webservices/yb", "application/json")},
	}
}
