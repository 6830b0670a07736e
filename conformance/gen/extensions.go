package main

// guideExtensions are the extensions of the guide; the paths say where each may
// stand.
func guideExtensions() []*structure {
	return []*structure{
		extensionDef("tcm-syndrome-of", "证候所属的中医病名", "Reference", []string{"Condition"}, refs("Condition")),
		extensionDef("tcm-paired-with", "与西医诊断对应的中医病名", "Reference", []string{"Condition"}, refs("Condition")),
		extensionDef("insurance-type", "医疗付费方式（CV07.10.005）", "CodeableConcept", []string{"Encounter"}, bound("preferred", Base+"/ValueSet/cv07-10-005")),
		extensionDef("visit-type", "初诊 / 复诊（DE06.00.196.00）", "Coding", []string{"Encounter"}),
		extensionDef("ethnicity", "民族（GB/T 3304）", "Coding", []string{"Patient"}),
		extensionDef("gender-code", "性别代码（GB/T 2261.1），FHIR 较粗时保留原码", "Coding", []string{"Patient"}),
		extensionDef("decoction-instruction", "煎服法", "string", []string{"MedicationRequest"}),
		extensionDef("decoction-method", "煎法（先煎、后下、包煎 …）", "Coding", []string{"Medication.ingredient"}, local("required", "tcm-decoction")),
		extensionDef("ingredient-note", "脚注原文", "string", []string{"Medication.ingredient"}),
		extensionDef("ingredient-role", "君臣佐使", "Coding", []string{"Medication.ingredient"}, local("required", "ingredient-role")),
		extensionDef("ingredient-processing", "炮制", "string", []string{"Medication.ingredient"}),
		extensionDef("ingredient-quantity", "总量", "Quantity", []string{"Medication.ingredient", "Procedure"}),
		extensionDef("unit-price", "单价", "Money", []string{"Medication.ingredient", "MedicationRequest", "ChargeItem", "Procedure"}),
		extensionDef("line-amount", "本行金额", "Money", []string{"Medication.ingredient", "MedicationRequest", "Procedure"}),
		extensionDef("prescription-amount", "整张处方金额", "Money", []string{"MedicationRequest"}),
		extensionDef("medication-specification", "规格", "string", []string{"Medication", "Medication.ingredient", "MedicationRequest"}),
		extensionDef("document-set", "共享文档的版本集合标识（setId）", "Identifier", []string{"Composition"}),
		extensionDef("dosage-form", "药物剂型（CV08.50.002）", "Coding", []string{"MedicationRequest"}),
		extensionDef("decocted-by-pharmacy", "代煎", "boolean", []string{"MedicationRequest"}),
		extensionDef("derived-from-formula", "所据方剂（SZJG/T 38.2、《伤寒论》）", "CodeableConcept", []string{"MedicationRequest", "Medication"}, local("preferred", "formula")),
		extensionDef("acupoint", "腧穴", "CodeableConcept", []string{"Procedure"}, local("preferred", "acupoint")),
		extensionDef("treatment-principle", "治则治法（GB/T 16751.3）", "CodeableConcept", []string{"ClinicalImpression", "Composition"}, local("preferred", "gbt-16751-3-2023")),
		extensionDef("pathogenesis", "病因病机", "string", []string{"ClinicalImpression"}),
		extensionDef("differentiation-element", "辨证要素：病因、病性、病位、病势、病机、证", "Coding", []string{"ClinicalImpression.finding"}, local("required", "differentiation-element")),
		extensionDef("renowned-doctor", "名老中医称号", "string", []string{"Practitioner"}),
		extensionDef("population-amount", "人群的精确值：金额等不是整数的合计", "decimal", []string{"MeasureReport.group.population"}),
		extensionDef("saved-query", "保存的查询：页面地址中 ? 之后的部分", "string", []string{"Basic"}),
		extensionDef("academic-school", "学术流派", "string", []string{"Practitioner"}),
	}
}
