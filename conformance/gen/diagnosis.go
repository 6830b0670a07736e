package main

// Codes that carry the edition in their shape: a code of one edition under the
// system of the other is a mistake that only the shape shows.
const (
	shape2021 = "coding.where(system = '" + Base + "/CodeSystem/gbt-15657-2021').all(code.matches('^[AB][0-9]{2}([.][0-9]{2,3})*$') and code.length() <= 18)"
	shape1995 = "coding.where(system = 'urn:oid:2.16.156.10011.2.3.3.14').all(code.matches('^[BZ][A-Z0-9]{4,8}$'))"
	temporary = "coding.where(system = '" + Base + "/CodeSystem/gbt-15657-2021' and code.startsWith('A17')).empty()"
)

// diagnosisProfiles are the differentiation and the three kinds of diagnosis,
// kept apart and linked.
func diagnosisProfiles() []*profile {
	impression := newProfile("tcm-differentiation", "ClinicalImpression", "辨证", "四诊为据（investigation 引用 Observation），辨证为推论（finding）：病因、病性、病位、病势、病机与证，证引用 Condition。").
		extensions("", extensionUse{"pathogenesis", 0, "1", "病因病机"}, extensionUse{"treatment-principle", 0, "*", "治则治法"}).
		el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 0, "1", "就诊", refs("Encounter")).el("investigation", 0, "*", "四诊").
		el("investigation.item", 0, "*", "四诊 Observation", refs("Observation", "QuestionnaireResponse")).el("summary", 0, "1", "辨证分析").
		el("finding", 0, "*", "辨证要素").extensions("finding", extensionUse{"differentiation-element", 0, "1", "要素类别"}).
		el("finding.itemCodeableConcept", 0, "1", "证素", local("preferred", "zhengsu")).
		el("finding.itemReference", 0, "1", "证候 Condition", refs("Condition"))
	out := []*profile{impression}
	for _, c := range []struct{ id, kind, title string }{{"tcm-disease", "tcm-disease", "中医病名"}, {"tcm-syndrome", "tcm-syndrome", "中医证候"}, {"western-diagnosis", "western", "西医诊断"}} {
		p := newProfile(c.id, "Condition", c.title, c.title+"；三类诊断分开存放并互相关联。")
		codes := []option{invariant("tcm-2021", "GB/T 15657-2021 代码形如 A01.01.01、B02.02.04，最长 18 位；若是 1995 版代码请改用 1995 版的系统", shape2021),
			invariant("tcm-1995", "GB/T 15657-1995 代码为 B 或 Z 开头的 5 至 9 位字母数字；若是 2021 版代码请改用 2021 版的系统", shape1995)}
		if c.kind != "western" {
			codes = append(codes, local("extensible", c.kind+"-code"))
		}
		switch c.kind {
		case "tcm-disease":
			codes = append(codes, advice("tcm-temp", "A17 为临时诊断用术语，不得作为门诊或出院的最后诊断", temporary))
		case "tcm-syndrome":
			p.extensions("", extensionUse{"tcm-syndrome-of", 0, "1", "所属病名"})
		case "western":
			p.extensions("", extensionUse{"tcm-paired-with", 0, "1", "对应中医病名"})
			codes = nil
		}
		p.sliced("category", "pattern", "$this").el("category:kind", 1, "1", "诊断类别", patternCoding(diagnosisKind, c.kind))
		out = append(out, p.el("code", 1, "1", "代码与名称；没有代码时只写 text", codes...).el("subject", 1, "1", "患者", refs("Patient")).el("encounter", 1, "1", "就诊", refs("Encounter")).
			el("evidence", 0, "*", "辨证依据").el("evidence.detail", 0, "*", "四诊 Observation"))
	}
	return out
}
