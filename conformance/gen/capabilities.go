package main

import "path/filepath"

// role is what one kind of system does with the hub.
type role struct {
	id, title, text, mode string
	writes                []string // profiles it creates
	reads                 []string // types it reads and searches
	operations            []string
}

var roles = []role{
	{"his-source", "医馆 HIS（数据来源）", "向中心推送就诊、处方、收费；可用 FHIR transaction，也可用就诊文档、SOAP、HL7 v2。", "client",
		[]string{"tcm-patient", "tcm-encounter", "tcm-outpatient-record", "tcm-inspection", "tcm-listening", "tcm-inquiry", "tcm-palpation", "tcm-tongue", "tcm-pulse", "tcm-differentiation",
			"tcm-disease", "tcm-syndrome", "western-diagnosis", "tcm-herbal-prescription", "tcm-herbal-medication", "tcm-drug-prescription", "tcm-dispense", "tcm-treatment", "tcm-charge"},
		nil, nil},
	{"settlement-source", "新农合 / 医保结算系统", "推送参保、登记、试结算与结算单；读取收费明细。", "client",
		[]string{"tcm-coverage", "tcm-claim", "tcm-trial-settlement", "tcm-settlement", "tcm-invoice"}, []string{"ChargeItem", "Encounter", "Patient"}, nil},
	{"regional-platform", "区域平台（数据消费）", "按居民、机构、时间读取，订阅变更，批量导出，取 WS/T 500 文档。", "client",
		nil, []string{"Patient", "Encounter", "Composition", "Condition", "Observation", "ClinicalImpression", "MedicationRequest", "Medication", "Procedure", "ExplanationOfBenefit", "Organization", "Practitioner", "PractitionerRole"},
		[]string{"everything", "document", "export"}},
	{"directory-consumer", "目录使用方（门户、转诊）", "检索中医馆、医生与服务。", "client", nil, []string{"Organization", "Practitioner", "PractitionerRole", "HealthcareService", "Location"}, nil},
	{"terminology-consumer", "术语使用方（医生站、决策支持）", "检索与校验中医术语，编码互换。", "client", nil, []string{"CodeSystem", "ValueSet", "ConceptMap"}, []string{"expand", "validate-code", "lookup", "translate"}},
	{"device-source", "中医诊断设备", "舌象仪、脉诊仪上传结果。", "client", []string{"tcm-device", "tcm-tongue", "tcm-pulse"}, nil, nil},
	{"data-center", "中医馆数据中心（本系统）", "对上述各方提供的服务；运行中的完整声明见 /fhir/metadata。", "server",
		[]string{"tcm-patient", "tcm-encounter", "tcm-outpatient-record", "tcm-differentiation", "tcm-disease", "tcm-syndrome", "western-diagnosis", "tcm-herbal-prescription", "tcm-herbal-medication",
			"tcm-drug-prescription", "tcm-dispense", "tcm-treatment", "tcm-constitution", "tcm-preventive-plan", "tcm-charge", "tcm-account", "tcm-invoice", "tcm-coverage", "tcm-claim",
			"tcm-trial-settlement", "tcm-settlement", "tcm-hall", "tcm-authority", "tcm-practitioner", "tcm-practitioner-role", "tcm-service", "tcm-device"},
		[]string{"Patient", "Encounter", "Composition", "Condition", "Observation", "ClinicalImpression", "MedicationRequest", "Medication", "Procedure"},
		[]string{"everything", "document", "export", "validate", "expand", "validate-code", "lookup", "translate"}},
}

// operationDefinitions are the canonicals of the operations that roles name.
var operationDefinitions = map[string]string{
	"everything": "http://hl7.org/fhir/OperationDefinition/Patient-everything", "document": "http://hl7.org/fhir/OperationDefinition/Composition-document",
	"export": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export", "validate": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
	"expand": "http://hl7.org/fhir/OperationDefinition/ValueSet-expand", "validate-code": "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
	"lookup": "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup", "translate": "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
}

// capabilities writes one CapabilityStatement (requirements) per role.
func capabilities(_, to string) error {
	types := map[string]string{}
	for _, p := range guideProfiles() {
		types[p.sd.ID] = p.sd.Type
	}
	dir := filepath.Join(filepath.Dir(to), "capability")
	for _, r := range roles {
		rest := item{"mode": r.mode, "resource": r.resources(types)}
		var ops []item
		for _, o := range r.operations {
			ops = append(ops, item{"name": o, "definition": operationDefinitions[o]})
		}
		if ops != nil {
			rest["operation"] = ops
		}
		if err := writeResource(dir, item{"resourceType": "CapabilityStatement", "id": r.id, "language": "zh-CN", "url": Base + "/CapabilityStatement/" + r.id, "version": "0.1.0",
			"name": r.id, "title": r.title, "status": "active", "date": "2026-11-25", "publisher": "岐黄", "description": r.text, "kind": "requirements",
			"fhirVersion": "4.0.1", "format": []string{"json", "xml"}, "rest": []any{rest}}); err != nil {
			return err
		}
	}
	return nil
}

// resources lists a role's types in the order of its profiles, then what it
// only reads.
func (r role) resources(types map[string]string) []item {
	var order []string
	profiles, reads := map[string][]string{}, map[string]bool{}
	note := func(typ string) {
		if _, ok := profiles[typ]; !ok {
			profiles[typ] = nil
			order = append(order, typ)
		}
	}
	for _, id := range r.writes {
		typ := types[id]
		note(typ)
		profiles[typ] = append(profiles[typ], Base+"/StructureDefinition/"+id)
	}
	for _, typ := range r.reads {
		note(typ)
		reads[typ] = true
	}
	var out []item
	for _, typ := range order {
		var does []item
		if profiles[typ] != nil {
			does = append(does, item{"code": "create"}, item{"code": "update"})
		}
		if reads[typ] || r.mode == "server" {
			does = append(does, item{"code": "read"}, item{"code": "search-type"})
		}
		res := item{"type": typ, "interaction": does}
		if profiles[typ] != nil {
			res["supportedProfile"] = profiles[typ]
		}
		var params []item
		for _, p := range guideParams {
			if p.base == typ && (reads[typ] || r.mode == "server") {
				params = append(params, item{"name": p.code, "definition": Base + "/SearchParameter/" + p.base + "-" + p.code, "type": p.kind, "documentation": p.text})
			}
		}
		if params != nil {
			res["searchParam"] = params
		}
		out = append(out, res)
	}
	return out
}
