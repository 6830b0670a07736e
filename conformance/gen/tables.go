package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func herbs(from, to string) error {
	var t struct {
		Herbs []struct {
			Name, Pinyin, Py, Nature, Toxicity, ToxBasis string
			Aliases, Category, Flavors, Meridians, Usage []string
			Functions, Sources                           []string
			Dose                                         struct {
				MinG, MaxG json.Number
				Basis      string
			}
			Pregnancy struct{ Level, Basis string }
			Entry     int `json:"chp2020Entry"`
		}
	}
	if err := load(from, "herbs.json", &t); err != nil {
		return err
	}
	uses, err := formulaUses(from)
	if err != nil {
		return err
	}
	cs := &codeSystem{ID: "herb", Version: "CHP2020", Name: "TCMHerb", Title: "中药饮片（药典名）", Content: "fragment",
		Description: "国家编码 GB/T 31774 的代码表没有公开来源，所以这里以药典正名本身作代码，不自造编号。剂量为成人每日煎服克数。",
		Purpose:     "《中国药典》2020 年版数据取自二手来源；现行为 2025 年版，临床使用前须由药师核对。未经临床审核。",
		Copyright:   "名称、性味归经、剂量、毒性、妊娠标记属事实；来源逐条见 source 属性（CHP2020＝中国药典 2020 年版一部；textbook5＝《中药学》；cky＝第二来源）。",
		Property: []propertyDef{{"py", "", "拼音码", "string"}, {"category", "", "功效分类", "string"}, {"flavor", "", "五味", "string"}, {"nature", "", "四气", "string"},
			{"meridian", "", "归经", "string"}, {"function", "", "功效术语", "string"}, {"toxicity", "", "有小毒 | 有毒 | 有大毒", "string"},
			{"minG", "", "日剂量下限 g", "decimal"}, {"maxG", "", "日剂量上限 g", "decimal"}, {"doseBasis", "", "剂量出处", "string"},
			{"pregnancy", "", "禁用 | 慎用", "string"}, {"pregnancyBasis", "", "妊娠标记出处", "string"}, {"usage", "", "特殊用法", "string"},
			{"chp2020Entry", "", "药典 2020 网络版条目号", "string"}, {"source", "", "事实来源", "string"}}}
	for _, h := range t.Herbs {
		out := concept{Code: h.Name, Display: h.Name, Designation: []designation{{Language: "zh-Latn-pinyin", Value: h.Pinyin}}}
		for _, a := range h.Aliases {
			out.Designation = append(out.Designation, synonym(a))
		}
		add := func(code string, values ...string) {
			for _, v := range values {
				if v != "" {
					out.Property = append(out.Property, property{Code: code, String: v})
				}
			}
		}
		add("py", h.Py)
		add("category", h.Category...)
		add("nature", h.Nature)
		add("flavor", h.Flavors...)
		add("meridian", h.Meridians...)
		add("function", h.Functions...)
		add("toxicity", h.Toxicity)
		if h.Dose.MaxG != "" {
			lo, hi := h.Dose.MinG, h.Dose.MaxG
			if lo != "" {
				out.Property = append(out.Property, property{Code: "minG", Decimal: &lo})
			}
			out.Property = append(out.Property, property{Code: "maxG", Decimal: &hi})
			add("doseBasis", h.Dose.Basis)
		}
		add("pregnancy", h.Pregnancy.Level)
		add("pregnancyBasis", h.Pregnancy.Basis)
		add("usage", h.Usage...)
		if h.Entry > 0 {
			add("chp2020Entry", fmt.Sprint(h.Entry))
		}
		add("source", h.Sources...)
		cs.Concept = append(cs.Concept, out)
	}
	slices.SortStableFunc(cs.Concept, func(a, b concept) int { return uses[b.Code] - uses[a.Code] })
	return cs.write(to)
}

// formulaUses counts the formulas of SZJG/T 38.2 that name a herb: the common
// herbs come first in lists and among equally good matches of a search.
func formulaUses(from string) (map[string]int, error) {
	var t struct {
		Formulas []struct{ Ingredients []string }
	}
	if err := load(from, "formulas_szjg38_2.json", &t); err != nil {
		return nil, err
	}
	uses := map[string]int{}
	for _, f := range t.Formulas {
		for _, name := range f.Ingredients {
			uses[name]++
		}
	}
	return uses, nil
}

// examinations writes the vocabulary of the four examinations. The terms have
// no national codes, so each term is its own code.
func examinations(from, to string) error {
	var t struct {
		Inspection []struct {
			Axis   string
			Groups []struct {
				Name  string
				Terms []string
			}
		}
		Pulse28, PulsePositions []string
		Listening               []string            `json:"listening_smelling"`
		Inquiry                 map[string][]string `json:"inquiryAxes"`
	}
	if err := load(from, "diagnostic_terms.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "four-examinations", Name: "FourExaminations", Title: "四诊术语", Content: "fragment",
		Description: "望闻问切的常用术语；没有国家代码，术语本身即代码。", Purpose: "未经临床审核。",
		Copyright: "术语属事实：TCM-CDSS 望诊词表；二十八脉与问诊轴来自公有领域医籍与常识整理。",
		Property:  []propertyDef{{"method", "", "inspection 望 | listening 闻 | inquiry 问 | palpation 切", "code"}, {"axis", "", "面象 | 舌象 | 脉象 …", "string"}, {"group", "", "舌色 | 苔质 …", "string"}, {"class", "", "group 类别名", "code"}}}
	seen := map[string]bool{}
	// a group (舌色, 苔质 …) and a pulse position are also codes of components
	group := func(name string) {
		if name != "" && !seen[name] {
			seen[name] = true
			cs.Concept = append(cs.Concept, concept{Code: name, Display: name, Property: []property{{Code: "class", CodeVal: "group"}}})
		}
	}
	for _, m := range [][2]string{{"inspection", "望诊"}, {"listening", "闻诊"}, {"inquiry", "问诊"}, {"palpation", "切诊"}, {"tongue", "舌象"}, {"pulse", "脉象"}} {
		cs.Concept = append(cs.Concept, concept{Code: m[0], Display: m[1]})
	}
	add := func(term, method, axis, group string) {
		if seen[term] {
			return
		}
		seen[term] = true
		c := concept{Code: term, Display: term, Property: []property{{Code: "method", CodeVal: method}, {Code: "axis", String: axis}}}
		if group != "" {
			c.Property = append(c.Property, property{Code: "group", String: group})
		}
		cs.Concept = append(cs.Concept, c)
	}
	for _, a := range t.Inspection {
		method := "inspection"
		if a.Axis == "脉象" {
			method = "palpation"
		}
		for _, g := range a.Groups {
			group(g.Name)
			for _, term := range g.Terms {
				add(term, method, a.Axis, g.Name)
			}
		}
	}
	for _, p := range t.Pulse28 {
		add(p+"脉", "palpation", "脉象", "二十八脉")
	}
	for _, p := range t.PulsePositions {
		add(p, "palpation", "脉位", "寸关尺")
	}
	for _, l := range t.Listening {
		add(l, "listening", "闻诊", "")
	}
	for _, axis := range slices.Sorted(maps.Keys(t.Inquiry)) {
		for _, term := range t.Inquiry[axis] {
			add(term, "inquiry", axis, "")
		}
	}
	return cs.write(to)
}

func icd11(from, to string) error {
	var t struct {
		Concepts []struct{ Code, En, Zh, Block, Gbt15657 string }
	}
	if err := load(from, "icd11_tm1_patterns.json", &t); err != nil {
		return err
	}
	cs := &codeSystem{ID: "icd11-tm1", URL: "http://id.who.int/icd/release/11/mms", Name: "ICD11TM1Patterns", Title: "ICD-11 第 26 章 传统医学模块 I：证候（SE70–SJ1Z）", Content: "fragment",
		Purpose:   "二手来源（TWCM 实施指南）核对；传统医学病（SA00–SE5Z）没有来源，未收。",
		Copyright: "ICD-11 © WHO, CC BY-ND 3.0 IGO；代码与标题未改动。"}
	var there, back []mapping
	for _, c := range t.Concepts {
		cs.Concept = append(cs.Concept, concept{Code: c.Code, Display: c.En, Designation: []designation{{Language: "zh-CN", Value: c.Zh}}})
		if c.Gbt15657 != "" {
			there = append(there, mapping{c.Code, c.Zh, c.Gbt15657, "", "relatedto", byName})
			back = append(back, mapping{c.Gbt15657, c.Zh, c.Code, c.En, "relatedto", byName})
		}
	}
	if err := cs.write(to); err != nil {
		return err
	}
	const tm1 = "http://id.who.int/icd/release/11/mms"
	if err := (&conceptMap{id: "icd11-tm1-gbt-15657-2021", title: "ICD-11 TM1 证候 → GB/T 15657-2021", source: tm1, target: gb2021, copyright: cs.Copyright}).write(to, there); err != nil {
		return err
	}
	return (&conceptMap{id: "gbt-15657-2021-icd11-tm1", title: "GB/T 15657-2021 证候 → ICD-11 TM1", source: gb2021, target: tm1, copyright: cs.Copyright}).write(to, back)
}

// valueTables writes the value-domain tables of WS 364 and the GB/T standards.
func valueTables(from, to string) error {
	var t struct {
		Tables map[string]struct {
			Name, OID, Source, Status, Note string
			Items                           []struct {
				Code, Display string
			}
		}
	}
	if err := load(from, "code_tables.json", &t); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(t.Tables)) {
		v := t.Tables[key]
		if key == "LOCAL.decoction" {
			continue // of the guide itself, see guideVocabulary
		}
		id := strings.ToLower(strings.NewReplacer("/", "", " ", "-", ".", "-").Replace(key))
		cs := &codeSystem{ID: id, Name: "T_" + strings.NewReplacer("/", "", " ", "_", ".", "_", "-", "_").Replace(key), Title: key + " " + v.Name, Content: "complete",
			Purpose: "review: " + v.Status, Copyright: "来源：" + v.Source}
		oid, note, _ := strings.Cut(v.OID, " ")
		switch {
		case oid != "" && note == "":
			cs.URL = "urn:oid:" + oid
		case oid != "":
			cs.Identifier = []identifier{{"urn:ietf:rfc:3986", "urn:oid:" + oid}}
			cs.Description = "OID 未核实。"
		}
		for _, it := range v.Items {
			cs.Concept = append(cs.Concept, concept{Code: it.Code, Display: it.Display})
		}
		if len(cs.Concept) == 0 {
			continue
		}
		if err := cs.write(to); err != nil {
			return err
		}
	}
	return nil
}
