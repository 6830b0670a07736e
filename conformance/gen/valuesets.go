package main

import (
	"os"
	"path/filepath"
	"strings"
)

// filter selects concepts of a code system by a property.
type filter struct {
	Property string `json:"property"`
	Op       string `json:"op"`
	Value    string `json:"value"`
}

// selections are the value sets that take a part of a code system.
var selections = []struct{ id, title, system, property, value string }{
	{"tcm-disease", "中医病名（GB/T 15657-2021 A 类）", Base + "/CodeSystem/gbt-15657-2021", "kind", "disease"},
	{"tcm-syndrome", "中医证候（GB/T 15657-2021 B 类）", Base + "/CodeSystem/gbt-15657-2021", "kind", "syndrome"},
	{"inspection", "望诊术语", Base + "/CodeSystem/four-examinations", "method", "inspection"},
	{"listening", "闻诊术语", Base + "/CodeSystem/four-examinations", "method", "listening"},
	{"inquiry", "问诊术语", Base + "/CodeSystem/four-examinations", "method", "inquiry"},
	{"palpation", "切诊术语", Base + "/CodeSystem/four-examinations", "method", "palpation"},
	{"tongue", "舌象术语", Base + "/CodeSystem/four-examinations", "axis", "舌象"},
	{"pulse", "脉象术语", Base + "/CodeSystem/four-examinations", "axis", "脉象"},
	{"tongue-color", "舌色", Base + "/CodeSystem/four-examinations", "group", "舌色"},
	{"tongue-shape", "舌形", Base + "/CodeSystem/four-examinations", "group", "舌形"},
	{"tongue-motion", "舌态", Base + "/CodeSystem/four-examinations", "group", "舌态"},
	{"tongue-coat-texture", "苔质", Base + "/CodeSystem/four-examinations", "group", "苔质"},
	{"tongue-coat-color", "苔色", Base + "/CodeSystem/four-examinations", "group", "苔色"},
	{"tongue-vessels", "舌下络脉", Base + "/CodeSystem/four-examinations", "group", "舌下络脉"},
}

// valueSets writes one value set per code system that has concepts, and the
// selections.
func valueSets(_, to string) error {
	files, err := filepath.Glob(filepath.Join(to, "CodeSystem-*.json"))
	if err != nil {
		return err
	}
	for _, f := range files {
		var cs codeSystem
		if err := load(to, filepath.Base(f), &cs); err != nil {
			return err
		}
		if cs.Content == "not-present" {
			continue
		}
		if err := valueSet(to, cs.ID, cs.Title, include{System: cs.URL}); err != nil {
			return err
		}
	}
	for _, s := range selections {
		if err := valueSet(to, s.id, s.title, include{s.system, []filter{{s.property, "=", s.value}}}); err != nil {
			return err
		}
	}
	// a diagnosis may carry a code of either edition: of the old one few are known
	for id, title := range map[string]string{"tcm-disease": "中医病名代码（2021 版与 1995 版）", "tcm-syndrome": "中医证候代码（2021 版与 1995 版）"} {
		kind := strings.TrimPrefix(id, "tcm-")
		if err := valueSet(to, id+"-code", title, include{gb2021, []filter{{"kind", "=", kind}}}, include{System: gb95}); err != nil {
			return err
		}
	}
	return valueSet(to, "formula", "方剂（SZJG/T 38.2 与《伤寒论》）", include{System: Base + "/CodeSystem/szjg-t-38-2-2011"}, include{System: Base + "/CodeSystem/shanghanlun-formula"})
}

// include is one part of a value set: a system, whole or filtered.
type include struct {
	System string   `json:"system"`
	Filter []filter `json:"filter,omitempty"`
}

func valueSet(dir, id, title string, parts ...include) error {
	b, err := encode(map[string]any{"resourceType": "ValueSet", "id": id, "language": "zh-CN", "url": Base + "/ValueSet/" + id,
		"name": "VS_" + strings.NewReplacer("-", "_").Replace(id), "title": title, "status": "active", "experimental": false, "publisher": "岐黄",
		"compose": map[string]any{"include": parts}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "ValueSet-"+id+".json"), append(b, '\n'), 0o644)
}
