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
		if err := valueSet(to, cs.ID, cs.Title, cs.URL, nil); err != nil {
			return err
		}
	}
	for _, s := range selections {
		if err := valueSet(to, s.id, s.title, s.system, &filter{s.property, "=", s.value}); err != nil {
			return err
		}
	}
	return nil
}

func valueSet(dir, id, title, system string, f *filter) error {
	include := map[string]any{"system": system}
	if f != nil {
		include["filter"] = []filter{*f}
	}
	b, err := encode(map[string]any{"resourceType": "ValueSet", "id": id, "language": "zh-CN", "url": Base + "/ValueSet/" + id,
		"name": "VS_" + strings.NewReplacer("-", "_").Replace(id), "title": title, "status": "active", "experimental": false, "publisher": "岐黄",
		"compose": map[string]any{"include": []any{include}}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "ValueSet-"+id+".json"), append(b, '\n'), 0o644)
}
