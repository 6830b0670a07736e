// Command gen writes the terminology resources of the TCM guide from tables of
// public facts (codes, names, numbers, relations; never explanatory prose).
// Each resource names the source of its facts and their review state.
//
//	go run ./conformance/gen -from DIR -to conformance/terminology
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	from := flag.String("from", "", "folder with the tables of facts")
	to := flag.String("to", "conformance/terminology", "folder to write")
	flag.Parse()
	for _, step := range []struct {
		name string
		run  func(from, to string) error
	}{
		{"GB/T 15657", diseasesAndSyndromes}, {"GB/T 16751.3", therapies}, {"herbs", herbs}, {"formulas", formulas},
		{"acupoints", acupoints}, {"four examinations", examinations}, {"ICD-11 TM1", icd11}, {"value tables", valueTables}, {"guide vocabulary", guideVocabulary},
		{"证素", zhengsu}, {"伤寒论", shanghanlun}, {"settlement sums", settlementSums}, {"other systems", otherSystems}, {"value sets", valueSets}, {"structures", structures}, {"measures", measures},
		{"questionnaires", questionnaires}, {"rules", ruleResources}, {"search parameters", searchParameters}, {"capabilities", capabilities}, {"guide", guideResource},
	} {
		if err := step.run(*from, *to); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", step.name, err)
			os.Exit(1)
		}
	}
}

// load reads one table of facts.
func load(dir, name string, into any) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// diseaseTable is the table of GB/T 15657-2021 diseases.
type diseaseTable struct {
	Concepts []struct {
		Code, Name, Category string
		Temporary            bool
		Aliases              []string
		Parent               *string
	}
}

// names finds the code of a disease by its name.
func (d *diseaseTable) names() map[string]string {
	out := map[string]string{}
	for _, c := range d.Concepts {
		out[c.Name] = c.Code
	}
	return out
}

func diseasesAndSyndromes(from, to string) error {
	var d diseaseTable
	var s struct {
		Concepts []struct {
			Code, Number, Name, En, Category, Class string
			Aliases                                 []string
		}
	}
	if err := load(from, "tcm_diseases_gbt15657_2021.json", &d); err != nil {
		return err
	}
	if err := load(from, "tcm_syndromes_gbt16751_2_2021.json", &s); err != nil {
		return err
	}
	cs := &codeSystem{ID: "gbt-15657-2021", Version: "2021", Name: "GBT15657_2021", Title: "GB/T 15657-2021 中医病证分类与代码",
		Description: "A 开头为疾病，B 开头为证候。", Content: "fragment", HierarchyMeaning: "is-a",
		Purpose:   "疾病：二手来源核对，收 1,239 条（全表含类目词 1,369 条）；证候代码由 GB/T 16751.2-2021 章节号推导，已核对三处，未逐条对照印刷本。",
		Copyright: "代码与名称属事实，来源 TCM-CDSS 词表（引 GB/T 15657-2021、GB/T 16751.2-2021 官方文本）；标准文本不在此分发。",
		Property: []propertyDef{{"parent", "http://hl7.org/fhir/concept-properties#parent", "上级", "code"}, {"kind", "", "disease 疾病 | syndrome 证候", "code"},
			{"category", "", "类目", "string"}, {"class", "", "heading 章 | group 类 | term 术语", "code"},
			{"temporary", "", "临时诊断用术语，不得作为门诊或出院诊断", "boolean"}, {"number", "", "GB/T 16751.2-2021 条目号", "string"}}}
	known := map[string]bool{}
	for _, c := range d.Concepts {
		known[c.Code] = true
	}
	for _, c := range s.Concepts {
		known[c.Code] = true
	}
	for _, c := range d.Concepts {
		out := concept{Code: c.Code, Display: c.Name, Property: []property{{Code: "kind", CodeVal: "disease"}, {Code: "category", String: c.Category}}}
		if c.Parent != nil && known[*c.Parent] {
			out.Property = append(out.Property, property{Code: "parent", CodeVal: *c.Parent})
		}
		if c.Temporary {
			out.Property = append(out.Property, property{Code: "temporary", Bool: truth(true)})
		}
		for _, a := range c.Aliases {
			out.Designation = append(out.Designation, synonym(a))
		}
		cs.Concept = append(cs.Concept, out)
	}
	for _, c := range s.Concepts {
		out := concept{Code: c.Code, Display: c.Name, Designation: english(c.En),
			Property: []property{{Code: "kind", CodeVal: "syndrome"}, {Code: "class", CodeVal: c.Class}, {Code: "number", String: c.Number}}}
		if p := above(c.Code, known); p != "" {
			out.Property = append(out.Property, property{Code: "parent", CodeVal: p})
		}
		for _, a := range c.Aliases {
			out.Designation = append(out.Designation, synonym(a))
		}
		cs.Concept = append(cs.Concept, out)
	}
	if err := cs.write(to); err != nil {
		return err
	}
	return gb1995(to, d.names())
}

// above returns the nearest known code whose dotted path contains code's.
func above(code string, known map[string]bool) string {
	for i := len(code) - 1; i > 0; i-- {
		if code[i] == '.' && known[code[:i]] {
			return code[:i]
		}
	}
	return ""
}

func therapies(from, to string) error {
	var t struct {
		Concepts []struct {
			Number, Name, En, Category, Class string
			Aliases                           []string
		}
	}
	if err := load(from, "tcm_therapies_gbt16751_3_2023.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "gbt-16751-3-2023", Version: "2023", Name: "GBT16751_3_2023", Title: "GB/T 16751.3-2023 中医临床诊疗术语 第3部分：治法",
		Content: "complete", HierarchyMeaning: "is-a", Description: "代码为标准条目号。",
		Purpose: "二手来源核对。", Copyright: "条目号与名称属事实，来源 TCM-CDSS 词表（引官方文本）。",
		Property: []propertyDef{{"parent", "http://hl7.org/fhir/concept-properties#parent", "上级", "code"}, {"class", "", "category_heading | category_term | clinical_term", "code"}}}
	known := map[string]bool{}
	for _, c := range t.Concepts {
		known[c.Number] = true
	}
	for _, c := range t.Concepts {
		out := concept{Code: c.Number, Display: c.Name, Designation: english(c.En), Property: []property{{Code: "class", CodeVal: c.Class}}}
		if p := above(c.Number, known); p != "" {
			out.Property = append(out.Property, property{Code: "parent", CodeVal: p})
		}
		for _, a := range c.Aliases {
			out.Designation = append(out.Designation, synonym(a))
		}
		cs.Concept = append(cs.Concept, out)
	}
	return cs.write(to)
}

func acupoints(from, to string) error {
	var t struct {
		Points []struct{ Code, Name, Pinyin, Meridian, Special string }
	}
	if err := load(from, "acupoints.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "acupoint", Name: "Acupoint", Title: "腧穴（GB/T 12346 名称，WHO 国际编号）", Content: "complete",
		Purpose: "二手来源。", Copyright: "编号与名称属事实，来源 TCM-CDSS 腧穴目录（仅取标识）。",
		Property: []propertyDef{{"meridian", "", "归经", "string"}, {"special", "", "特定穴", "string"}}}
	for _, p := range t.Points {
		out := concept{Code: p.Code, Display: p.Name, Property: []property{{Code: "meridian", String: p.Meridian}}}
		if p.Pinyin != "" {
			out.Designation = []designation{{Language: "zh-Latn-pinyin", Value: p.Pinyin}}
		}
		if p.Special != "" {
			out.Property = append(out.Property, property{Code: "special", String: p.Special})
		}
		cs.Concept = append(cs.Concept, out)
	}
	return cs.write(to)
}

func formulas(from, to string) error {
	var t struct {
		Formulas []struct {
			Code, Name, Source     string
			Ingredients, Functions []string
		}
	}
	if err := load(from, "formulas_szjg38_2.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "szjg-t-38-2-2011", Version: "2011", Name: "SZJGT38_2_2011", Title: "SZJG/T 38.2-2011 中药方剂编码", Content: "complete",
		Description: "GB/T 31773-2015 以此为基础；两者代码是否完全一致未核实。无剂量。",
		Purpose:     "二手来源核对。", Copyright: "代码、方名、出处、组成属事实，来源 TCM-CDSS（引 SZJG/T 38.2-2011 文本）。",
		Property: []propertyDef{{"source", "", "出处", "string"}, {"ingredient", "", "组成药味", "string"}, {"function", "", "功效术语", "string"}}}
	for _, f := range t.Formulas {
		out := concept{Code: f.Code, Display: f.Name, Property: []property{{Code: "source", String: f.Source}}}
		for _, i := range f.Ingredients {
			out.Property = append(out.Property, property{Code: "ingredient", String: i})
		}
		for _, i := range f.Functions {
			out.Property = append(out.Property, property{Code: "function", String: i})
		}
		cs.Concept = append(cs.Concept, out)
	}
	return cs.write(to)
}
