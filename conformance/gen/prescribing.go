package main

// prescriptionProfiles are prescriptions, what they prescribe, and dispensing.
func prescriptionProfiles() []*profile {
	herbal := newProfile("tcm-herbal-prescription", "MedicationRequest", "中药处方（饮片、颗粒、膏方、协定方）", "一张中药处方一个 MedicationRequest；药味在所引用 Medication 的 ingredient[]，剂数在 dispenseRequest.quantity。").
		extensions("", extensionUse{"decoction-instruction", 0, "1", "煎服法"}, extensionUse{"prescription-amount", 0, "1", "处方金额"},
			extensionUse{"decocted-by-pharmacy", 0, "1", "代煎"}, extensionUse{"derived-from-formula", 0, "1", "所据方剂"}).
		el("category", 1, "*", "饮片 / 颗粒 / 膏方 / 协定方", local("required", "prescription-category")).
		el("medication[x]", 1, "1", "方", refs("Medication")).el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 1, "1", "就诊", refs("Encounter")).
		el("authoredOn", 0, "1", "开方时间").el("requester", 0, "1", "开方医生").el("reasonReference", 0, "*", "病名与证候", refs("Condition")).
		el("groupIdentifier", 1, "1", "处方号").el("groupIdentifier.value", 1, "1", "号码").
		el("dosageInstruction", 0, "*", "用法").el("dosageInstruction.timing", 0, "1", "频次").el("dosageInstruction.route", 0, "1", "用药途径（CV06.00.102）").
		el("dispenseRequest", 0, "1", "调配").el("dispenseRequest.quantity", 0, "1", "剂数")
	medication := newProfile("tcm-herbal-medication", "Medication", "中药方（药味组成）", "每味药一个 ingredient：itemCodeableConcept 写药名与院内代码，strength.numerator 为每剂克数。").
		extensions("", extensionUse{"derived-from-formula", 0, "1", "所据方剂"}).
		el("code", 0, "1", "方名").el("ingredient", 1, "*", "药味").
		extensions("ingredient", extensionUse{"decoction-method", 0, "*", "煎法"}, extensionUse{"ingredient-note", 0, "1", "脚注"}, extensionUse{"ingredient-role", 0, "1", "君臣佐使"},
			extensionUse{"ingredient-processing", 0, "1", "炮制"}, extensionUse{"ingredient-quantity", 0, "1", "总量"}, extensionUse{"unit-price", 0, "1", "单价"}, extensionUse{"line-amount", 0, "1", "金额"}).
		el("ingredient.item[x]", 1, "1", "药名与代码", types("CodeableConcept")).el("ingredient.strength", 0, "1", "每剂用量")
	drug := newProfile("tcm-drug-prescription", "MedicationRequest", "中成药、西药处方", "每种药一个 MedicationRequest，同一处方号在 groupIdentifier。").
		el("category", 1, "*", "中成药 / 西药", local("required", "prescription-category")).el("medication[x]", 1, "1", "药品", types("CodeableConcept")).
		el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 0, "1", "就诊", refs("Encounter")).el("groupIdentifier", 1, "1", "处方号")
	dispense := newProfile("tcm-dispense", "MedicationDispense", "调剂（审核、调配、核对、发药）", "四个签名各为一个 performer，function 说明环节。").
		el("subject", 1, "1", "患者").el("authorizingPrescription", 1, "*", "处方", refs("MedicationRequest")).sliced("performer", "pattern", "function")
	for _, f := range dispenseFunctions {
		dispense.el("performer:"+f[0], 0, "1", f[1]).el("performer:"+f[0]+".function", 1, "1", f[1], patternCoding(Base+"/CodeSystem/dispense-function", f[0])).
			el("performer:"+f[0]+".actor", 1, "1", f[1]+"药师")
	}
	return []*profile{herbal, medication, drug, dispense}
}

// treatmentProfiles are TCM techniques, constitution and preventive care.
func treatmentProfiles() []*profile {
	treatment := newProfile("tcm-treatment", "Procedure", "中医技术", "针刺、艾灸、推拿、拔罐等非药物疗法。").
		extensions("", extensionUse{"acupoint", 0, "*", "腧穴"}, extensionUse{"ingredient-quantity", 0, "1", "次数"}, extensionUse{"unit-price", 0, "1", "单价"}, extensionUse{"line-amount", 0, "1", "金额"}).
		el("code", 1, "1", "技术").el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 0, "1", "就诊", refs("Encounter"))
	constitution := newProfile("tcm-constitution", "Observation", "中医体质辨识结果", "code 为体质类型（CV05.01.005），valueQuantity 为转化分，interpretation 为判定（是、倾向是、否）。").
		el("code", 1, "1", "体质").el("subject", 1, "1", "受测者", refs("Patient")).el("value[x]", 0, "1", "转化分或判定", types("Quantity", "CodeableConcept")).
		el("interpretation", 0, "1", "判定", local("preferred", "constitution-judgement")).el("derivedFrom", 0, "*", "问卷答案", refs("QuestionnaireResponse"))
	plan := newProfile("tcm-preventive-plan", "CarePlan", "治未病调养方案", "情志、饮食、起居、运动、穴位等调养活动；依据为体质辨识结果。").
		el("subject", 1, "1", "受测者", refs("Patient")).el("supportingInfo", 0, "*", "体质辨识结果", refs("Observation")).
		el("activity", 1, "*", "调养活动").el("activity.detail", 1, "1", "内容").el("activity.detail.code", 0, "1", "类别").el("activity.detail.description", 1, "1", "具体做法")
	return []*profile{treatment, constitution, plan}
}
