package main

// recordSections are the parts of an outpatient record: slice name, code of
// CodeSystem record-section, title.
var recordSections = []struct {
	slice, code, title string
	min                int
}{
	{"chiefComplaint", "chief-complaint", "主诉", 0}, {"presentIllness", "present-illness", "现病史", 0}, {"pastHistory", "past-history", "既往史", 0},
	{"allergyHistory", "allergy-history", "过敏史", 0}, {"personalHistory", "personal-history", "个人史", 0}, {"familyHistory", "family-history", "家族史", 0},
	{"physicalExam", "physical-exam", "体格检查", 0}, {"fourExaminations", "four-examinations", "四诊", 0}, {"diagnoses", "diagnoses", "诊断", 0},
	{"prescriptions", "prescriptions", "处方", 0}, {"treatments", "treatments", "治疗", 0}, {"charges", "charges", "费用", 0}, {"advice", "advice", "医嘱与建议", 0},
}

// visitProfiles are the patient, the visit and its record.
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
	record := newProfile("tcm-outpatient-record", "Composition", "中医门诊病历", "《中医电子病历基本规范》门诊病历项目，初诊、复诊同一结构；章节代码用 LOINC（与 WS/T 500.2 C0002 相同），没有 LOINC 的用本指南代码。").
		extensions("", extensionUse{"treatment-principle", 0, "*", "治则治法"}).
		el("type", 1, "1", "门诊病历", patternCoding("http://loinc.org", "34108-1")).
		el("category", 0, "1", "初诊 / 复诊（DE06.00.196.00）", local("preferred", "de06-00-196-00")).
		el("subject", 1, "1", "患者", refs("Patient")).
		el("encounter", 1, "1", "就诊", refs("Encounter")).el("custodian", 0, "1", "保管机构").
		sliced("section", "pattern", "code")
	for _, s := range recordSections {
		record.el("section:"+s.slice, s.min, "1", s.title).el("section:"+s.slice+".code", 1, "1", s.title, patternCoding(Base+"/CodeSystem/record-section", s.code))
	}
	return []*profile{patient, encounter, record}
}
