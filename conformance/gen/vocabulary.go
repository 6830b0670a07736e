package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// dispenseFunctions are the four signatures of dispensing.
var dispenseFunctions = [][2]string{{"review", "审核"}, {"compound", "调配"}, {"check", "核对"}, {"handover", "发药"}}

// guideVocabulary writes the small code systems the guide defines itself.
func guideVocabulary(from, to string) error {
	for _, v := range []struct {
		id, title, source string
		codes             [][2]string
	}{
		{"diagnosis-kind", "诊断类别", "本指南", [][2]string{{"tcm-disease", "中医病名"}, {"tcm-syndrome", "中医证候"}, {"western", "西医诊断"}}},
		{"prescription-category", "处方类别", "本指南（与 DE08.50.032.00 处方类别代码对应：饮片、中成药；膏方、协定方取自监管平台的处方类别）", [][2]string{{"decoction", "中药饮片"}, {"granule", "中药配方颗粒"}, {"paste", "膏方"}, {"agreed", "协定方"}, {"patent", "中成药"}, {"western", "西药"}}},
		{"charge-category", "费用类别", "本指南", [][2]string{{"decoction", "中药饮片"}, {"granule", "中药配方颗粒"}, {"patent", "中成药"}, {"western", "西药"}, {"registration", "挂号费"},
			{"consultation", "诊查费"}, {"laboratory", "检验费"}, {"examination", "检查费"}, {"material", "材料费"}, {"treatment", "治疗费"}, {"other", "其他"}}},
		{"differentiation-element", "辨证要素类别", "本指南（病因、病性、病位、病势、病机、证）", [][2]string{{"cause", "病因"}, {"nature", "病性"}, {"location", "病位"}, {"tendency", "病势"}, {"pathomechanism", "病机"}, {"syndrome", "证"}}},
		{"dispense-function", "调剂环节", "WS 445.3 中药处方的四个药剂师签名", dispenseFunctions},
		{"organization-level", "机构级别", "本指南", [][2]string{{"province", "省级"}, {"city", "市级"}, {"county", "县级"}, {"hospital", "中医医院"}, {"community", "社区卫生服务中心"}, {"township", "乡镇卫生院"}, {"village", "村卫生室"}, {"hall", "中医馆"}}},
		{"device-kind", "中医诊断设备种类", "本指南", [][2]string{{"tongue-imaging", "舌象采集仪"}, {"face-imaging", "面象采集仪"}, {"pulse", "脉象采集仪"}}},
		{"constitution-judgement", "体质判定", "ZYYXH/T 157-2009 中医体质分类与判定", [][2]string{{"yes", "是"}, {"basically", "基本是"}, {"inclined", "倾向是"}, {"no", "否"}}},
		{"supervision-task", "监管事项类别", "本指南", [][2]string{{"alert", "预警整改"}, {"data-quality", "数据质量整改"}, {"review", "处方点评反馈"}, {"appeal", "绩效评分申诉"}, {"review-sample", "处方点评抽样"}, {"prescription-review", "处方点评"}}},
		{"supervision-task-state", "监管事项状态", "本指南", [][2]string{{"waiting", "待分派"}, {"assigned", "已分派"}, {"working", "处理中"}, {"submitted", "待复核"}, {"closed", "已办结"}, {"cancelled", "已撤销"}}},
		{"review-state", "处方点评状态", "本指南；结论取自《医院处方点评管理规范（试行）》（卫医管发〔2010〕28号）", [][2]string{{"waiting", "待点评"}, {"reasonable", "合理处方"}, {"unreasonable", "不合理处方"}}},
		{"supervision-report", "监管报告种类", "本指南", [][2]string{{"month", "月报"}, {"quarter", "季报"}, {"year", "年报"}}},
		{"supervision-report-state", "监管报告状态", "本指南", [][2]string{{"draft", "草稿"}, {"submitted", "已上报"}, {"county", "县级已审"}, {"city", "市级已审"}, {"approved", "已批准，锁定"}}},
		{"supervision-paper", "监管文件种类", "本指南", [][2]string{{"saved-analysis", "保存的自助分析"}}},
		{"ingredient-role", "君臣佐使", "中医方剂配伍通用术语", [][2]string{{"jun", "君"}, {"chen", "臣"}, {"zuo", "佐"}, {"shi", "使"}}},
	} {
		cs := &codeSystem{ID: v.id, Version: "0.1.0", Name: v.id, Title: v.title, Content: "complete", Purpose: "本指南定义。", Copyright: "来源：" + v.source}
		for _, c := range v.codes {
			cs.Concept = append(cs.Concept, concept{Code: c[0], Display: c[1]})
		}
		if err := cs.write(to); err != nil {
			return err
		}
	}
	if err := reviewCriteria(to); err != nil {
		return err
	}
	sections := &codeSystem{ID: "record-section", Version: "0.1.0", Name: "record-section", Title: "病历章节", Content: "complete", Purpose: "本指南定义；与 LOINC 章节代码并用。", Copyright: "来源：本指南"}
	for _, s := range recordSections {
		sections.Concept = append(sections.Concept, concept{Code: s.code, Display: s.title})
	}
	if err := sections.write(to); err != nil {
		return err
	}
	var t struct {
		Tables map[string]struct {
			Source, Status string
			Items          []struct{ Code, Display string }
		}
	}
	if err := load(from, "code_tables.json", &t); err != nil {
		return err
	}
	table := t.Tables["LOCAL.decoction"]
	d := &codeSystem{ID: "tcm-decoction", Version: "0.1.0", Name: "tcm-decoction", Title: "中药饮片特殊煎煮法", Content: "complete",
		Description: "WS 445.3 的煎煮法是自由文本（DE08.50.047.00），没有国家代码表。", Purpose: "review: " + table.Status, Copyright: "来源：" + table.Source}
	for _, c := range table.Items {
		d.Concept = append(d.Concept, concept{Code: c.Code, Display: c.Display})
	}
	return d.write(to)
}

// reviewCriteria writes the reasons of prescription review as a code system:
// the groups 1, 2, 3 and the reasons 1-1 … 3-4.
func reviewCriteria(to string) error {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(to), "rules", "review.json"))
	if err != nil {
		return err
	}
	var t struct {
		Source, Review string
		Groups         []struct {
			Code, Title string
			Criteria    []struct{ Code, Title string }
		}
	}
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "review-criterion", Version: "0.1.0", Name: "review-criterion", Title: "处方点评的不合理原因", Content: "complete", Purpose: "review: " + t.Review, Copyright: "来源：" + t.Source}
	for _, g := range t.Groups {
		cs.Concept = append(cs.Concept, concept{Code: g.Code, Display: g.Title})
		for _, c := range g.Criteria {
			cs.Concept = append(cs.Concept, concept{Code: c.Code, Display: c.Title})
		}
	}
	return cs.write(to)
}
