package main

import "path/filepath"

// param is one SearchParameter of the guide: standard R4 parameters are not
// repeated.
type param struct {
	code, base, kind, expression, text string
	target                             string
	components                         [][2]string // definition, expression
}

func ext(base, name, tail string) string {
	return base + ".extension.where(url = '" + Base + "/StructureDefinition/" + name + "').value" + tail
}

var guideParams = []param{
	{code: "formula", base: "MedicationRequest", kind: "token", expression: ext("MedicationRequest", "derived-from-formula", ""), text: "所据方剂的代码"},
	{code: "dose-count", base: "MedicationRequest", kind: "quantity", expression: "MedicationRequest.dispenseRequest.quantity", text: "剂数，例如 dose-count=gt7"},
	{code: "prescription-number", base: "MedicationRequest", kind: "token", expression: "MedicationRequest.groupIdentifier", text: "处方号"},
	{code: "decocted-by-pharmacy", base: "MedicationRequest", kind: "token", expression: ext("MedicationRequest", "decocted-by-pharmacy", ""), text: "是否代煎"},
	{code: "formula-name", base: "Medication", kind: "string", expression: "Medication.code.text", text: "方名"},
	{code: "herb", base: "Medication", kind: "string", expression: "Medication.ingredient.item.ofType(CodeableConcept).text", text: "药味名（汉字、拼音或首字母）"},
	{code: "herb-dose", base: "Medication", kind: "composite", expression: "Medication.ingredient", text: "某味药的每剂用量，例如 herb-dose=5001$gt30",
		components: [][2]string{{"http://hl7.org/fhir/SearchParameter/Medication-ingredient-code", "item.ofType(CodeableConcept)"}, {Base + "/SearchParameter/Medication-dose", "strength.numerator"}}},
	{code: "dose", base: "Medication", kind: "quantity", expression: "Medication.ingredient.strength.numerator", text: "任一味药的每剂用量"},
	{code: "visit-type", base: "Encounter", kind: "token", expression: ext("Encounter", "visit-type", ""), text: "初诊 1、复诊 2"},
	{code: "insurance-type", base: "Encounter", kind: "token", expression: ext("Encounter", "insurance-type", ""), text: "医疗付费方式（CV07.10.005），03 为新农合"},
	{code: "syndrome-of", base: "Condition", kind: "reference", expression: ext("Condition", "tcm-syndrome-of", ""), text: "证候所属的中医病名", target: "Condition"},
	{code: "paired-with", base: "Condition", kind: "reference", expression: ext("Condition", "tcm-paired-with", ""), text: "与西医诊断对应的中医病名", target: "Condition"},
	{code: "treatment-principle", base: "ClinicalImpression", kind: "token", expression: ext("ClinicalImpression", "treatment-principle", ""), text: "治则治法"},
	{code: "acupoint", base: "Procedure", kind: "token", expression: ext("Procedure", "acupoint", ""), text: "腧穴"},
	{code: "renowned-doctor", base: "Practitioner", kind: "string", expression: ext("Practitioner", "renowned-doctor", ""), text: "名老中医称号"},
}

// searchParameters writes the SearchParameters of TCM elements.
func searchParameters(_, to string) error {
	dir := filepath.Join(filepath.Dir(to), "search")
	for _, p := range guideParams {
		id := p.base + "-" + p.code
		r := item{"resourceType": "SearchParameter", "id": id, "language": "zh-CN", "url": Base + "/SearchParameter/" + id, "version": "0.1.0", "name": id,
			"status": "active", "publisher": "岐黄", "description": p.text, "code": p.code, "base": []string{p.base}, "type": p.kind, "expression": p.expression}
		if p.target != "" {
			r["target"] = []string{p.target}
		}
		var parts []item
		for _, c := range p.components {
			parts = append(parts, item{"definition": c[0], "expression": c[1]})
		}
		if parts != nil {
			r["component"] = parts
		}
		if err := writeResource(dir, r); err != nil {
			return err
		}
	}
	return nil
}
