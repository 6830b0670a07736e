package main

import (
	"os"
	"path/filepath"
	"strings"
)

const (
	gb2021 = Base + "/CodeSystem/gbt-15657-2021"
	gb95   = "urn:oid:2.16.156.10011.2.3.3.14"
	icd10  = "urn:oid:2.16.156.10011.2.3.3.11"
	byName = "按名称或别名精确匹配得出，非官方映射"
)

// conceptMap is the head of a ConceptMap with one group.
type conceptMap struct {
	id, title, source, target, copyright string
}

// mapping is one row: an empty code of the target says that there is none.
type mapping struct{ from, fromText, to, toText, equivalence, comment string }

// write stores the map, one row a line.
func (c *conceptMap) write(dir string, rows []mapping) error {
	elements := make([]any, len(rows))
	for i, r := range rows {
		target := map[string]any{"equivalence": r.equivalence, "comment": r.comment}
		if r.to != "" {
			target["code"] = r.to
		}
		if r.toText != "" {
			target["display"] = r.toText
		}
		elements[i] = map[string]any{"code": r.from, "display": r.fromText, "target": []any{target}}
	}
	b, err := encode(map[string]any{"resourceType": "ConceptMap", "id": c.id, "language": "zh-CN", "url": Base + "/ConceptMap/" + c.id, "version": "0.1.0",
		"name": strings.ReplaceAll(c.id, "-", "_"), "title": c.title, "status": "active", "experimental": true, "publisher": "岐黄", "copyright": c.copyright,
		"sourceUri": c.source, "targetUri": c.target, "group": []any{map[string]any{"source": c.source, "target": c.target, "element": elements}}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "ConceptMap-"+c.id+".json"), []byte(strings.ReplaceAll(string(b), `},{"code"`, "},\n{\"code\"")+"\n"), 0o644)
}

// gb1995 writes the old edition as far as it is known: the codes seen in real
// messages, and the map to the new edition by name.
func gb1995(to string, names map[string]string) error {
	cs := &codeSystem{ID: "gbt-15657-1995", URL: gb95, Version: "1995", Name: "GBT15657_1995", Title: "GB/T 15657-1995 中医病证分类与代码", Content: "fragment",
		Description: "WS 445、WS/T 500 与现有 HIS 仍使用的旧版代码（AN..9，如 BNF012 病、ZBRDC00 证）。",
		Purpose:     "没有可用的全表：只收真实报文中见到的代码，不在此列的旧版代码给出警告，不判为错误。",
		Copyright:   "OID 见 WS/T 500 实现；代码见 HIS 与中医馆平台接口报文（TCM_HIS_09）。",
		Concept:     []concept{{Code: "BNF012", Display: "内伤咳嗽病"}, {Code: "ZBRDC00", Display: "热毒上攻证"}}}
	if err := cs.write(to); err != nil {
		return err
	}
	var rows []mapping
	for _, c := range cs.Concept {
		row := mapping{c.Code, c.Display, "", "", "unmatched", "2021 版中没有同名术语，须由医师选定"}
		for _, name := range []string{c.Display, strings.TrimSuffix(c.Display, "病")} {
			if code := names[name]; code != "" {
				row = mapping{c.Code, c.Display, code, name, "relatedto", byName}
			}
		}
		rows = append(rows, row)
	}
	return (&conceptMap{id: "gbt-15657-1995-2021", title: "GB/T 15657-1995 → 2021（已知部分）", source: gb95, target: gb2021, copyright: cs.Copyright}).write(to, rows)
}

// otherSystems registers ICD-10 and the templates with which an organisation
// maps its own codes to national ones.
func otherSystems(_, to string) error {
	icd := &codeSystem{ID: "icd-10-cn", URL: icd10, Name: "ICD10CN", Title: "ICD-10 国家临床版 / 医保版", Content: "not-present",
		Description: "代码形如 J06.903、J00.x00。", Purpose: "没有可用的代码表来源：只登记系统，不校验代码是否存在。", Copyright: "OID 见 WS/T 500 实现。"}
	if err := icd.write(to); err != nil {
		return err
	}
	const note = "模板：把示例行换成本机构的代码；行内为合成示例"
	for _, m := range []struct {
		conceptMap
		row mapping
	}{
		{conceptMap{id: "template-local-disease", title: "院内中医病名代码 → GB/T 15657-2021（模板）", source: Base + "/sid/diagnosis/{机构编码}", target: gb2021}, mapping{"LOCAL-0001", "感冒", "A01.01.01", "", "equivalent", note}},
		{conceptMap{id: "template-local-syndrome", title: "院内证候代码 → GB/T 15657-2021（模板）", source: Base + "/sid/diagnosis/{机构编码}", target: gb2021}, mapping{"LOCAL-0002", "风寒束表证", "", "", "unmatched", note}},
		{conceptMap{id: "template-local-icd10", title: "院内西医诊断代码 → ICD-10（模板）", source: Base + "/sid/diagnosis/{机构编码}", target: icd10}, mapping{"LOCAL-0003", "急性上呼吸道感染", "J06.903", "", "equivalent", note}},
		{conceptMap{id: "template-local-herb", title: "院内药品代码 → 饮片正名（模板）", source: Base + "/sid/drug/{机构编码}", target: Base + "/CodeSystem/herb"}, mapping{"5045", "桂枝", "桂枝", "", "equivalent", note}},
	} {
		m.copyright = "本指南"
		if err := m.write(to, []mapping{m.row}); err != nil {
			return err
		}
	}
	return nil
}
