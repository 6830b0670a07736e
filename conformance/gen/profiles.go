package main

import (
	"os"
	"path/filepath"
)

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
		extensionDef("medication-specification", "规格", "string", []string{"Medication"}),
		extensionDef("decocted-by-pharmacy", "代煎", "boolean", []string{"MedicationRequest"}),
		extensionDef("derived-from-formula", "所据方剂（SZJG/T 38.2）", "CodeableConcept", []string{"MedicationRequest", "Medication"}, local("preferred", "szjg-t-38-2-2011")),
		extensionDef("acupoint", "腧穴", "CodeableConcept", []string{"Procedure"}, local("preferred", "acupoint")),
		extensionDef("treatment-principle", "治则治法（GB/T 16751.3）", "CodeableConcept", []string{"ClinicalImpression", "Composition"}, local("preferred", "gbt-16751-3-2023")),
		extensionDef("pathogenesis", "病因病机", "string", []string{"ClinicalImpression"}),
		extensionDef("renowned-doctor", "名老中医称号", "string", []string{"Practitioner"}),
	}
}

const (
	sidOrg        = Base + "/sid/organization"
	diagnosisKind = Base + "/CodeSystem/diagnosis-kind"
	fourExams     = Base + "/CodeSystem/four-examinations"
)

// guideProfiles are the profiles of the guide.
func guideProfiles() []*profile {
	return append(append(visitProfiles(), prescriptionProfiles()...), moneyAndDirectoryProfiles()...)
}

func visitProfiles() []*profile {
	patient := newProfile("tcm-patient", "Patient", "患者", "中医馆患者：HIS 病人号必有，身份证号可缺。").
		el("identifier", 1, "*", "HIS 病人号、居民身份证号").el("identifier.system", 1, "1", "发号系统").el("identifier.value", 1, "1", "号码").
		el("name", 0, "*", "姓名").el("name.text", 1, "1", "全名").el("gender", 0, "1", "性别").el("birthDate", 0, "1", "出生日期").
		el("telecom", 0, "*", "联系电话").el("address", 0, "*", "住址").el("managingOrganization", 0, "1", "建档机构").
		extensions("", extensionUse{"ethnicity", 0, "1", "民族"}, extensionUse{"gender-code", 0, "1", "国标性别代码"})
	encounter := newProfile("tcm-encounter", "Encounter", "门诊就诊", "一次门诊：门诊号加机构唯一。").
		extensions("", extensionUse{"visit-type", 0, "1", "初诊/复诊"}, extensionUse{"insurance-type", 0, "1", "付费方式"}).
		el("identifier", 1, "*", "门诊号（就诊序号）").el("identifier.system", 1, "1", "机构的门诊号系统").el("identifier.value", 1, "1", "号码").
		el("class", 1, "1", "AMB 门诊").el("subject", 1, "1", "患者", refs("Patient")).el("participant", 0, "*", "接诊医生").
		el("period", 0, "1", "就诊时间").el("diagnosis", 0, "*", "诊断，主诊断 rank=1").el("serviceProvider", 1, "1", "中医馆")
	record := newProfile("tcm-outpatient-record", "Composition", "中医门诊病历", "《中医电子病历基本规范》门诊病历项目；章节代码用 LOINC（与 WS/T 500.2 C0002 相同），没有 LOINC 的用本指南代码。").
		el("type", 1, "1", "门诊病历", patternCoding("http://loinc.org", "34108-1")).el("subject", 1, "1", "患者", refs("Patient")).
		el("encounter", 1, "1", "就诊", refs("Encounter")).el("custodian", 0, "1", "保管机构").
		sliced("section", "pattern", "code")
	for _, s := range recordSections {
		record.el("section:"+s.slice, s.min, "1", s.title).el("section:"+s.slice+".code", 1, "1", s.title, patternCoding(Base+"/CodeSystem/record-section", s.code))
	}
	out := []*profile{patient, encounter, record}
	for _, x := range []struct{ id, kind, title, value string }{
		{"tcm-inspection", "inspection", "望诊", "inspection"}, {"tcm-listening", "listening", "闻诊", "listening"}, {"tcm-inquiry", "inquiry", "问诊", "inquiry"},
		{"tcm-palpation", "palpation", "切诊", "palpation"}, {"tcm-tongue", "tongue", "舌象", "tongue"}, {"tcm-pulse", "pulse", "脉象", "pulse"},
	} {
		out = append(out, newProfile(x.id, "Observation", x.title, "四诊之"+x.title+"：描述原文在 valueString，术语在 component。").
			el("code", 1, "1", x.title, patternCoding(fourExams, x.kind)).el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 0, "1", "就诊", refs("Encounter")).
			el("value[x]", 0, "1", "描述", types("string", "CodeableConcept")).el("component", 0, "*", "术语").el("component.code", 1, "1", "术语类别").
			el("component.value[x]", 0, "1", "术语", types("CodeableConcept"), local("preferred", x.value)))
	}
	impression := newProfile("tcm-differentiation", "ClinicalImpression", "辨证", "病因、病性、病位、病势、病机与证：finding 引用证候 Condition。").
		extensions("", extensionUse{"pathogenesis", 0, "1", "病因病机"}, extensionUse{"treatment-principle", 0, "*", "治则治法"}).
		el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 0, "1", "就诊", refs("Encounter")).el("summary", 0, "1", "辨证分析").el("finding", 0, "*", "证候").
		el("finding.itemReference", 0, "1", "证候 Condition", refs("Condition"))
	out = append(out, impression)
	for _, c := range []struct{ id, kind, title string }{{"tcm-disease", "tcm-disease", "中医病名"}, {"tcm-syndrome", "tcm-syndrome", "中医证候"}, {"western-diagnosis", "western", "西医诊断"}} {
		p := newProfile(c.id, "Condition", c.title, c.title+"；三类诊断分开存放并互相关联。")
		switch c.kind {
		case "tcm-syndrome":
			p.extensions("", extensionUse{"tcm-syndrome-of", 0, "1", "所属病名"})
		case "western":
			p.extensions("", extensionUse{"tcm-paired-with", 0, "1", "对应中医病名"})
		}
		p.sliced("category", "pattern", "$this").el("category:kind", 1, "1", "诊断类别", patternCoding(diagnosisKind, c.kind))
		codes := []option{}
		switch c.kind {
		case "tcm-disease":
			codes = append(codes, advice("tcm-temp", "A17 为临时诊断用术语，不得作为门诊或出院的最后诊断", "coding.where(system = '"+Base+"/CodeSystem/gbt-15657-2021' and code.startsWith('A17')).empty()"))
		}
		out = append(out, p.el("code", 1, "1", "代码与名称；没有代码时只写 text", codes...).el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 1, "1", "就诊", refs("Encounter")))
	}
	return out
}

var recordSections = []struct {
	slice, code, title string
	min                int
}{
	{"chiefComplaint", "chief-complaint", "主诉", 0}, {"presentIllness", "present-illness", "现病史", 0}, {"pastHistory", "past-history", "既往史", 0},
	{"allergyHistory", "allergy-history", "过敏史", 0}, {"personalHistory", "personal-history", "个人史", 0}, {"familyHistory", "family-history", "家族史", 0},
	{"physicalExam", "physical-exam", "体格检查", 0}, {"fourExaminations", "four-examinations", "四诊", 0}, {"diagnoses", "diagnoses", "诊断", 0},
	{"prescriptions", "prescriptions", "处方", 0}, {"treatments", "treatments", "治疗", 0}, {"charges", "charges", "费用", 0}, {"advice", "advice", "医嘱与建议", 0},
}

func prescriptionProfiles() []*profile {
	herbal := newProfile("tcm-herbal-prescription", "MedicationRequest", "中药处方（饮片、颗粒）", "一张中药处方一个 MedicationRequest；药味在所引用 Medication 的 ingredient[]，剂数在 dispenseRequest.quantity。").
		extensions("", extensionUse{"decoction-instruction", 0, "1", "煎服法"}, extensionUse{"prescription-amount", 0, "1", "处方金额"},
			extensionUse{"decocted-by-pharmacy", 0, "1", "代煎"}, extensionUse{"derived-from-formula", 0, "1", "所据方剂"}).
		el("category", 1, "*", "饮片 / 颗粒", local("required", "prescription-category")).
		el("medication[x]", 1, "1", "方", refs("Medication")).el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 1, "1", "就诊", refs("Encounter")).
		el("authoredOn", 0, "1", "开方时间").el("requester", 0, "1", "开方医生").el("groupIdentifier", 1, "1", "处方号").el("groupIdentifier.value", 1, "1", "号码").
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
	treatment := newProfile("tcm-treatment", "Procedure", "中医技术", "针刺、艾灸、推拿、拔罐等非药物疗法。").
		extensions("", extensionUse{"acupoint", 0, "*", "腧穴"}, extensionUse{"ingredient-quantity", 0, "1", "次数"}, extensionUse{"unit-price", 0, "1", "单价"}, extensionUse{"line-amount", 0, "1", "金额"}).
		el("code", 1, "1", "技术").el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 0, "1", "就诊", refs("Encounter"))
	dispense := newProfile("tcm-dispense", "MedicationDispense", "调剂（审核、调配、核对、发药）", "四个签名各为一个 performer。").
		el("subject", 1, "1", "患者").el("performer", 0, "4", "审核、调配、核对、发药药师").el("authorizingPrescription", 1, "*", "处方", refs("MedicationRequest"))
	return []*profile{herbal, medication, drug, treatment, dispense}
}

func moneyAndDirectoryProfiles() []*profile {
	charge := newProfile("tcm-charge", "ChargeItem", "收费明细", "金额在 priceOverride，就诊在 context。").
		extensions("", extensionUse{"unit-price", 0, "1", "单价"}).
		el("code", 1, "1", "费用类别").el("subject", 1, "1", "患者").el("context", 1, "1", "就诊", refs("Encounter")).el("priceOverride", 1, "1", "金额")
	coverage := newProfile("tcm-coverage", "Coverage", "参保（新农合、居民医保、职工医保）", "").
		el("type", 1, "1", "险种", bound("preferred", Base+"/ValueSet/cv07-10-005")).el("beneficiary", 1, "1", "参保人", refs("Patient")).el("payor", 1, "*", "经办机构")
	claim := newProfile("tcm-claim", "Claim", "医保申报（登记）", "identifier 为登记号 djid。").
		el("identifier", 1, "*", "登记号").el("patient", 1, "1", "参保人", refs("Patient")).el("insurance", 1, "*", "参保").el("item", 0, "*", "费用明细")
	eob := newProfile("tcm-settlement", "ExplanationOfBenefit", "结算单", "identifier 为报销号 bxid；total 的分类为 sum31 总额、sum01 补偿、sum21 自付。").
		el("identifier", 1, "*", "报销号").el("patient", 1, "1", "参保人", refs("Patient")).el("total", 1, "*", "合计").el("total.category", 1, "1", "合计类别").el("total.amount", 1, "1", "金额")
	hall := newProfile("tcm-hall", "Organization", "中医馆", "机构编码必有；partOf 为县、市、省管理机构。").
		el("identifier", 1, "*", "机构编码").el("identifier.value", 1, "1", "编码").el("name", 0, "1", "名称").el("partOf", 0, "1", "上级", refs("Organization"))
	doctor := newProfile("tcm-practitioner", "Practitioner", "中医师", "").
		extensions("", extensionUse{"renowned-doctor", 0, "1", "名老中医称号"}).
		el("identifier", 1, "*", "工号、执业证书号").el("name", 0, "*", "姓名").el("qualification", 0, "*", "执业资格")
	role := newProfile("tcm-practitioner-role", "PractitionerRole", "执业关系", "医生在哪一家馆、什么职称和专长。").
		el("practitioner", 1, "1", "医生", refs("Practitioner")).el("organization", 1, "1", "中医馆", refs("Organization")).el("specialty", 0, "*", "专长")
	constitution := newProfile("tcm-constitution", "Observation", "中医体质辨识结果", "code 为体质类型（CV05.01.005），valueQuantity 为转化分。").
		el("code", 1, "1", "体质").el("subject", 1, "1", "受测者", refs("Patient")).el("value[x]", 0, "1", "转化分或判定", types("Quantity", "CodeableConcept")).el("derivedFrom", 0, "*", "问卷答案", refs("QuestionnaireResponse"))
	return []*profile{charge, coverage, claim, eob, hall, doctor, role, constitution}
}

// structures writes the extensions and profiles beside the terminology.
func structures(_, to string) error {
	dir := filepath.Join(filepath.Dir(to), "profiles")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, x := range guideExtensions() {
		if err := x.write(dir); err != nil {
			return err
		}
	}
	for _, p := range guideProfiles() {
		if err := p.sd.write(dir); err != nil {
			return err
		}
	}
	return nil
}
