package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// zhengsu writes the elements of differentiation: locations (病位) and natures
// (病性) of disease.
func zhengsu(from, to string) error {
	var t struct {
		Zhengsu []struct{ ID, Name, Category, Subcategory string }
	}
	if err := load(from, "syndrome_findings.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "zhengsu", Name: "Zhengsu", Title: "证素（病位、病性）", Content: "fragment", Description: "没有国家代码，名称本身即代码。",
		Purpose: "二手来源，未经临床审核。", Copyright: "名称与分类属事实，来源 pokotaliu/tcm 证素标签（仅取事实）。",
		Property: []propertyDef{{"category", "", "病位 | 病性", "string"}, {"group", "", "表里 | 脏腑 …", "string"}}}
	seen := map[string]bool{}
	for _, z := range t.Zhengsu {
		if seen[z.Name] {
			continue
		}
		seen[z.Name] = true
		c := concept{Code: z.Name, Display: z.Name, Designation: []designation{{Language: "zh-Latn-pinyin", Value: z.ID}}, Property: []property{{Code: "category", String: z.Category}}}
		if z.Subcategory != "" {
			c.Property = append(c.Property, property{Code: "group", String: z.Subcategory})
		}
		cs.Concept = append(cs.Concept, c)
	}
	return cs.write(to)
}

// shanghanlun writes the formulas of the 伤寒论 with their ancient doses. The
// doses are kept in the units of the book: converting them to grams is a choice
// of the reader that no fact decides.
func shanghanlun(from, to string) error {
	var t struct {
		Formulas []struct {
			Name        string
			FirstClause int
			SzjgCode    string
			Composition []struct {
				Herb, HerbsName, DoseText string
			}
		}
	}
	if err := load(from, "shanghanlun.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "shanghanlun-formula", Name: "ShanghanlunFormula", Title: "《伤寒论》方（药味与原书剂量）", Content: "complete",
		Description: "方名即代码；剂量为原书单位（两、铢、枚、升 …），换算成克没有定论，不得据此直接开方。",
		Purpose:     "来源自注每条 review_status=pending；未经临床审核。", Copyright: "结构化数据 psknlr/Tao-Shanghan-Corpus（CC BY 4.0）；宋本《伤寒论》原文属公有领域。",
		Property: []propertyDef{{"clause", "", "首见条文号", "integer"}, {"ingredient", "", "药味（药典名）与原书剂量", "string"}, {"szjg", "", "SZJG/T 38.2-2011 代码", "code"}}}
	for _, f := range t.Formulas {
		c := concept{Code: f.Name, Display: f.Name, Property: []property{{Code: "clause", Integer: &f.FirstClause}}}
		if f.SzjgCode != "" {
			c.Property = append(c.Property, property{Code: "szjg", CodeVal: f.SzjgCode})
		}
		for _, h := range f.Composition {
			name := h.HerbsName
			if name == "" {
				name = h.Herb
			}
			c.Property = append(c.Property, property{Code: "ingredient", String: strings.TrimSpace(fmt.Sprintf("%s %s", name, h.DoseText))})
		}
		cs.Concept = append(cs.Concept, c)
	}
	return cs.write(to)
}

// settlementSums writes the sums of a settlement (sum01 … sum33) as the schemes'
// interface names them.
func settlementSums(from, to string) error {
	var t struct{ Sums map[string]string }
	if err := load(from, "xnh_interface.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "ncms-sum", Name: "NCMSSum", Title: "新农合结算合计项", Content: "complete",
		Purpose: "来源接口逐项核对。", Copyright: "代码与名称属事实，来源县级新农合结算接口（rw-bsoft/his Hcnservices）。"}
	for _, code := range slices.Sorted(maps.Keys(t.Sums)) {
		cs.Concept = append(cs.Concept, concept{Code: code, Display: t.Sums[code]})
	}
	return cs.write(to)
}
