package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// indicator is one supervision indicator: aggregates over a fact table.
type indicator struct {
	name, title, definition string
	fact                    string // visit | prescription
	numerator, denominator  string // ClickHouse aggregate expressions; denominator "" = a count
	unit                    string // "" for counts and shares
	source                  string
}

const (
	sourceTCMHospital = "三级公立中医医院绩效考核指标口径（指标名称；二手来源）"
	sourcePrimary     = "基层医疗卫生机构绩效考核指标口径（二手来源）"
	sourceReview      = "《医院处方点评管理规范（试行）》卫医管发〔2010〕28号（二手来源）"
	sourceOwn         = "本平台定义"
	sourceRational    = "合理用药规则数据（见 rules/rational.json，未经临床审核）"
)

// indicators is the catalogue. Days are Asia/Shanghai; only finished encounters
// count; shares are ratios of sums, never means of ratios.
var indicators = []indicator{
	{"outpatient-visits", "门诊人次", "期内已完成的门诊就诊数", "visit", "count()", "", "人次", sourcePrimary},
	{"patients-seen", "就诊人数", "期内有已完成就诊的不同患者数", "visit", "uniqExact(patient_id)", "", "人", sourceOwn},
	{"first-visit-share", "初诊占比", "初诊人次 / 门诊人次", "visit", "countIf(visit_type = '1')", "count()", "", sourceOwn},
	{"return-visit-share", "复诊占比", "复诊人次 / 门诊人次", "visit", "countIf(visit_type = '2')", "count()", "", sourceOwn},
	{"tcm-visits", "中医诊疗人次", "使用饮片、颗粒、中成药或非药物疗法的就诊人次", "visit", "countIf(rx_decoction + rx_granule + rx_patent + therapies > 0)", "", "人次", sourcePrimary},
	{"tcm-visit-share", "中医诊疗人次占比", "中医诊疗人次 / 门诊人次", "visit", "countIf(rx_decoction + rx_granule + rx_patent + therapies > 0)", "count()", "", sourcePrimary},
	{"decoction-visit-share", "门诊患者中药饮片使用率", "有饮片处方的人次 / 门诊人次", "visit", "countIf(rx_decoction > 0)", "count()", "", sourceTCMHospital},
	{"granule-visit-share", "颗粒剂使用率", "有颗粒处方的人次 / 门诊人次", "visit", "countIf(rx_granule > 0)", "count()", "", sourceOwn},
	{"herbal-visit-share", "中药（饮片、颗粒）使用率", "有饮片或颗粒处方的人次 / 门诊人次", "visit", "countIf(rx_decoction + rx_granule > 0)", "count()", "", sourceOwn},
	{"patent-visit-share", "中成药使用率", "有中成药处方的人次 / 门诊人次", "visit", "countIf(rx_patent > 0)", "count()", "", sourceOwn},
	{"western-visit-share", "西药使用率", "有西药处方的人次 / 门诊人次", "visit", "countIf(rx_western > 0)", "count()", "", sourceOwn},
	{"no-prescription-visit-share", "无处方就诊占比", "没有任何处方的人次 / 门诊人次", "visit", "countIf(rx = 0)", "count()", "", sourceOwn},
	{"non-drug-therapy-visits", "非药物疗法人次", "有中医非药物疗法的就诊人次", "visit", "countIf(therapies > 0)", "", "人次", sourcePrimary},
	{"non-drug-therapy-visit-share", "门诊患者使用中医非药物疗法比例", "有非药物疗法的人次 / 门诊人次", "visit", "countIf(therapies > 0)", "count()", "", sourceTCMHospital},
	{"therapy-kinds", "中医技术种类数", "期内开展的不同中医技术项目数", "visit", "length(groupUniqArrayArray(therapy_names))", "", "种", sourcePrimary},
	{"therapy-items", "中医技术项次", "期内中医技术项目次数", "visit", "sum(therapies)", "", "项次", sourceOwn},
	{"ncms-visit-share", "新农合就诊占比", "付费方式为新农合（03）的人次 / 门诊人次", "visit", "countIf(insurance = '03')", "count()", "", sourceOwn},
	{"resident-insurance-visit-share", "居民医保就诊占比", "付费方式为居民医保（02）的人次 / 门诊人次", "visit", "countIf(insurance = '02')", "count()", "", sourceOwn},
	{"employee-insurance-visit-share", "职工医保就诊占比", "付费方式为职工医保（01）的人次 / 门诊人次", "visit", "countIf(insurance = '01')", "count()", "", sourceOwn},
	{"self-pay-visit-share", "自费就诊占比", "付费方式为全自费（07）的人次 / 门诊人次", "visit", "countIf(insurance = '07')", "count()", "", sourceOwn},
	{"total-income", "门诊收入", "期内收费合计", "visit", "sum(cost)", "", "元", sourcePrimary},
	{"drug-income", "药品收入", "饮片、颗粒、中成药、西药收费合计", "visit", "sum(drug_cost)", "", "元", sourcePrimary},
	{"cost-per-visit", "门诊次均费用", "收费合计 / 门诊人次", "visit", "sum(cost)", "count()", "元", sourcePrimary},
	{"drug-cost-per-visit", "门诊次均药费", "药品收入 / 门诊人次", "visit", "sum(drug_cost)", "count()", "元", sourcePrimary},
	{"drug-cost-share", "药占比", "药品收入 / 收费合计", "visit", "sum(drug_cost)", "sum(cost)", "", sourcePrimary},
	{"decoction-share-of-drug-cost", "中药饮片收入占药品收入比例", "饮片收入 / 药品收入", "visit", "sum(decoction_cost)", "sum(drug_cost)", "", sourceTCMHospital},
	{"tcm-drug-share-of-drug-cost", "中药收入占药品收入比例", "饮片、颗粒、中成药收入 / 药品收入", "visit", "sum(decoction_cost) + sum(granule_cost) + sum(patent_cost)", "sum(drug_cost)", "", sourceTCMHospital},
	{"granule-share-of-drug-cost", "颗粒收入占药品收入比例", "颗粒收入 / 药品收入", "visit", "sum(granule_cost)", "sum(drug_cost)", "", sourceOwn},
	{"patent-share-of-drug-cost", "中成药收入占药品收入比例", "中成药收入 / 药品收入", "visit", "sum(patent_cost)", "sum(drug_cost)", "", sourceOwn},
	{"western-share-of-drug-cost", "西药收入占药品收入比例", "西药收入 / 药品收入", "visit", "sum(western_cost)", "sum(drug_cost)", "", sourceOwn},
	{"therapy-cost-share", "中医治疗收入占比", "治疗费 / 收费合计", "visit", "sum(therapy_cost)", "sum(cost)", "", sourceTCMHospital},
	{"therapy-cost-per-therapy-visit", "非药物疗法次均费用", "治疗费 / 非药物疗法人次", "visit", "sumIf(therapy_cost, therapies > 0)", "countIf(therapies > 0)", "元", sourceOwn},
	{"examination-cost-share", "检查检验收入占比", "检查费与检验费 / 收费合计", "visit", "sum(examination_cost)", "sum(cost)", "", sourceOwn},
	{"high-cost-visit-share", "高费用就诊占比", "单次费用超过期内有收费就诊均值 3 倍的人次 / 门诊人次", "visit", "countIf(toFloat64(cost) > 3 * (SELECT toFloat64(sum(cost)) / countIf(charges > 0) FROM visit))", "count()", "", sourceOwn},
	{"dual-diagnosis-rate", "双诊断完整率", "中医病名与 ICD-10 均有编码的人次 / 门诊人次", "visit", "countIf(has_disease AND has_icd10)", "count()", "", sourceOwn},
	{"syndrome-recorded-rate", "证型填写率", "有证候的人次 / 门诊人次", "visit", "countIf(has_syndrome)", "count()", "", sourceOwn},
	{"tcm-disease-recorded-rate", "中医病名填写率", "有中医病名的人次 / 门诊人次", "visit", "countIf(has_disease)", "count()", "", sourceOwn},
	{"icd10-recorded-rate", "西医诊断填写率", "有 ICD-10 诊断的人次 / 门诊人次", "visit", "countIf(has_icd10)", "count()", "", sourceOwn},
	{"coded-disease-rate", "中医病名编码率", "中医病名有编码的人次 / 有中医病名的人次", "visit", "countIf(coded_disease)", "countIf(has_disease)", "", sourceOwn},
	{"coded-syndrome-rate", "证候编码率", "证候有编码的人次 / 有证候的人次", "visit", "countIf(coded_syndrome)", "countIf(has_syndrome)", "", sourceOwn},
	{"tongue-pulse-rate", "舌脉记录率", "舌象与脉象均有记录的人次 / 门诊人次", "visit", "countIf(has_tongue AND has_pulse)", "count()", "", sourceOwn},
	{"tongue-recorded-rate", "舌象记录率", "有舌象的人次 / 门诊人次", "visit", "countIf(has_tongue)", "count()", "", sourceOwn},
	{"pulse-recorded-rate", "脉象记录率", "有脉象的人次 / 门诊人次", "visit", "countIf(has_pulse)", "count()", "", sourceOwn},
	{"four-examinations-rate", "四诊齐全率", "望、闻、问、切均有记录的人次 / 门诊人次", "visit", "countIf(examinations = 4)", "count()", "", sourceOwn},
	{"record-rate", "病历书写率", "有门诊病历的人次 / 门诊人次", "visit", "countIf(has_record)", "count()", "", sourceOwn},
	{"chief-complaint-rate", "主诉填写率", "病历有主诉的人次 / 门诊人次", "visit", "countIf(has_chief_complaint)", "count()", "", sourceOwn},
	{"charged-visit-rate", "收费完整率", "有收费明细的人次 / 门诊人次", "visit", "countIf(charges > 0)", "count()", "", sourceOwn},
	{"visits-per-doctor-day", "医师日均担负诊疗人次", "门诊人次 / 医师出诊日数", "visit", "count()", "uniqExact(doctor_id, day)", "人次", sourcePrimary},
	{"doctors-active", "出诊医师数", "期内有已完成就诊的医师数", "visit", "uniqExact(doctor_id)", "", "人", sourceOwn},
	{"clinic-days", "开诊日数", "期内有就诊的馆·日数", "visit", "uniqExact(org_code, day)", "", "日", sourceOwn},
	{"visits-per-clinic-day", "馆日均门诊人次", "门诊人次 / 开诊日数", "visit", "count()", "uniqExact(org_code, day)", "人次", sourceOwn},
	{"weekend-visit-share", "周末就诊占比", "周六周日就诊人次 / 门诊人次", "visit", "countIf(toDayOfWeek(day) >= 6)", "count()", "", sourceOwn},
	{"visits-per-patient", "人均就诊次数", "门诊人次 / 就诊人数", "visit", "count()", "uniqExact(patient_id)", "次", sourceOwn},
	{"prescriptions", "处方数", "期内处方数（按处方号）", "prescription", "count()", "", "张", sourceTCMHospital},
	{"tcm-prescription-share", "门诊中药处方比例", "（饮片＋颗粒＋中成药）处方数 / 处方数", "prescription", "countIf(category IN ('decoction', 'granule', 'patent'))", "count()", "", sourceTCMHospital},
	{"decoction-prescription-share", "中药饮片处方比例", "饮片处方数 / 处方数", "prescription", "countIf(category = 'decoction')", "count()", "", sourceTCMHospital},
	{"granule-prescription-share", "颗粒处方比例", "颗粒处方数 / 处方数", "prescription", "countIf(category = 'granule')", "count()", "", sourceOwn},
	{"patent-prescription-share", "中成药处方比例", "中成药处方数 / 处方数", "prescription", "countIf(category = 'patent')", "count()", "", sourcePrimary},
	{"western-prescription-share", "西药处方比例", "西药处方数 / 处方数", "prescription", "countIf(category = 'western')", "count()", "", sourceOwn},
	{"herbs-per-prescription", "平均味数", "饮片、颗粒处方的药味合计 / 处方数", "prescription", "sumIf(herbs, herbal)", "countIf(herbal)", "味", sourceOwn},
	{"doses-per-prescription", "平均剂数", "饮片、颗粒处方的剂数合计 / 处方数", "prescription", "sumIf(doses, herbal)", "countIf(herbal)", "剂", sourceOwn},
	{"amount-per-prescription", "处方均价", "处方金额合计 / 处方数", "prescription", "sum(amount)", "count()", "元", sourceOwn},
	{"amount-per-dose", "帖均费用", "饮片处方金额合计 / 剂数合计", "prescription", "sumIf(amount, category = 'decoction')", "sumIf(doses, category = 'decoction')", "元", sourceOwn},
	{"overdose-prescription-rate", "超剂量处方率", "有一味超过药典剂量上限的饮片处方数 / 饮片、颗粒处方数", "prescription", "countIf(herbal AND overdose)", "countIf(herbal)", "", sourceRational},
	{"eighteen-incompatibles-rate", "十八反处方率", "含十八反配伍的处方数 / 饮片、颗粒处方数", "prescription", "countIf(herbal AND eighteen)", "countIf(herbal)", "", sourceRational},
	{"nineteen-antagonisms-rate", "十九畏处方率", "含十九畏配伍的处方数 / 饮片、颗粒处方数", "prescription", "countIf(herbal AND nineteen)", "countIf(herbal)", "", sourceRational},
	{"toxic-herb-prescription-rate", "含毒性饮片处方率", "含有毒、有大毒饮片的处方数 / 饮片、颗粒处方数", "prescription", "countIf(herbal AND toxic)", "countIf(herbal)", "", sourceRational},
	{"over-seven-dose-rate", "超 7 剂处方率", "超过 7 剂的处方数 / 饮片、颗粒处方数", "prescription", "countIf(herbal AND doses > 7)", "countIf(herbal)", "", sourceReview},
	{"over-five-drug-rate", "超五种药品处方率", "单张西药、中成药处方超过五种药品的处方数 / 西药、中成药处方数", "prescription", "countIf(NOT herbal AND herbs > 5)", "countIf(NOT herbal)", "", sourceReview},
	{"unknown-herb-rate", "非药典名处方率", "有药名不在药典名录的处方数 / 饮片、颗粒处方数", "prescription", "countIf(herbal AND unknown)", "countIf(herbal)", "", sourceOwn},
	{"named-formula-share", "成方使用率", "写明方名的处方数 / 饮片、颗粒处方数", "prescription", "countIf(herbal AND formula != '')", "countIf(herbal)", "", sourceOwn},
}

// dimensions are what an indicator may be broken down by, by fact: columns of
// the fact that become the Measure's stratifiers.
var dimensions = map[string][][2]string{
	"visit": {{"org", "机构"}, {"area", "区县"}, {"city", "市"}, {"level", "机构级别"}, {"day", "日"}, {"month", "月"}, {"quarter", "季"}, {"year", "年"}, {"doctor", "医生"},
		{"visit-type", "初复诊"}, {"insurance", "付费方式"}, {"gender", "性别"}, {"age-band", "年龄段"}, {"disease", "中医病名"}, {"syndrome", "证候"}, {"icd10", "西医诊断"}},
	"prescription": {{"org", "机构"}, {"area", "区县"}, {"city", "市"}, {"level", "机构级别"}, {"day", "日"}, {"month", "月"}, {"quarter", "季"}, {"year", "年"}, {"doctor", "医生"},
		{"category", "处方类别"}, {"formula", "方名"}},
}

// better says which way is good where that is beyond doubt: complete records
// and fewer unsafe prescriptions. Shares and costs have no good direction.
func (m indicator) better() string {
	switch m.name {
	case "dual-diagnosis-rate", "syndrome-recorded-rate", "tcm-disease-recorded-rate", "icd10-recorded-rate", "coded-disease-rate", "coded-syndrome-rate",
		"tongue-pulse-rate", "tongue-recorded-rate", "pulse-recorded-rate", "four-examinations-rate", "record-rate", "chief-complaint-rate", "charged-visit-rate":
		return "increase"
	case "overdose-prescription-rate", "eighteen-incompatibles-rate", "nineteen-antagonisms-rate", "over-seven-dose-rate", "over-five-drug-rate", "unknown-herb-rate":
		return "decrease"
	}
	return ""
}

// stratifiers are the fact's dimensions as FHIR writes them.
func (m indicator) stratifiers() (list []any) {
	for _, d := range dimensions[m.fact] {
		list = append(list, map[string]any{"code": map[string]any{"coding": []any{map[string]any{"system": Base + "/CodeSystem/measure-dimension", "code": d[0], "display": d[1]}}},
			"criteria": map[string]any{"language": "application/sql", "name": m.fact, "expression": d[0]}})
	}
	return list
}

// measures writes the indicators as FHIR Measures: population criteria in SQL
// over the fact tables of the warehouse, one row a visit or prescription, which
// roll up from hall and day as ratios of sums.
func measures(_, to string) error {
	dir := filepath.Join(filepath.Dir(to), "measures")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, m := range indicators {
		scoring := "cohort"
		if m.denominator != "" {
			scoring = "ratio"
			if m.unit == "" {
				scoring = "proportion"
			}
		}
		population := func(code, sql string) map[string]any {
			return map[string]any{"code": map[string]any{"coding": []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/measure-population", "code": code}}},
				"criteria": map[string]any{"language": "application/sql", "name": m.fact, "expression": sql}}
		}
		var pop []any
		if m.denominator == "" {
			pop = []any{population("initial-population", m.numerator)}
		} else {
			pop = []any{population("numerator", m.numerator), population("denominator", m.denominator)}
		}
		r := map[string]any{"resourceType": "Measure", "id": m.name, "language": "zh-CN", "url": Base + "/Measure/" + m.name, "version": "2026.1", "name": m.name, "title": m.title,
			"status": "active", "publisher": "岐黄", "description": m.definition, "copyright": "口径来源：" + m.source, "effectivePeriod": map[string]any{"start": "2026-01-01"},
			"subjectCodeableConcept": map[string]any{"coding": []any{map[string]any{"system": "http://hl7.org/fhir/resource-types", "code": "Organization"}}},
			"scoring":                map[string]any{"coding": []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/measure-scoring", "code": scoring}}},
			"relatedArtifact":        []any{map[string]any{"type": "citation", "citation": m.source}},
			"group":                  []any{map[string]any{"population": pop, "stratifier": m.stratifiers()}}}
		extensions := []any{map[string]any{"url": Base + "/StructureDefinition/measure-grain", "valueString": "机构 × 日"}}
		if m.unit != "" {
			extensions = append(extensions, map[string]any{"url": Base + "/StructureDefinition/measure-unit", "valueString": m.unit})
		}
		r["extension"] = extensions
		if better := m.better(); better != "" {
			r["improvementNotation"] = map[string]any{"coding": []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/measure-improvement-notation", "code": better}}}
		}
		b, err := encode(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, m.name+".json"), append(b, '\n'), 0o644); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}
