package main

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// chapters groups the artefacts of the guide by the folder they are written to.
var chapters = []struct{ folder, title string }{
	{"profiles", "资源规范与扩展"}, {"terminology", "术语"}, {"questionnaires", "量表"}, {"rules", "合理用药规则"}, {"search", "检索参数"}, {"capability", "能力声明"}, {"examples", "示例"},
}

// readingOrder puts profiles as the guide tells them (patient, visit, record …),
// before extensions and everything else.
func readingOrder(a, b string) int {
	place := func(file string) int {
		for i, p := range guideProfiles() {
			if filepath.Base(file) == "StructureDefinition-"+p.sd.ID+".json" {
				return i
			}
		}
		return math.MaxInt
	}
	return cmp.Compare(place(a), place(b))
}

// guideResource writes the ImplementationGuide that lists everything of the
// guide; it runs last, when the other artefacts stand.
func guideResource(_, to string) error {
	root := filepath.Dir(to)
	var groups, list []item
	for _, c := range chapters {
		groups = append(groups, item{"id": c.folder, "name": c.title})
		files, err := filepath.Glob(filepath.Join(root, c.folder, "*-*.json"))
		if err != nil {
			return err
		}
		slices.SortStableFunc(files, readingOrder)
		for _, f := range files {
			typ, id, _ := strings.Cut(strings.TrimSuffix(filepath.Base(f), ".json"), "-")
			var head struct{ Title, Name string }
			if err := load(filepath.Dir(f), filepath.Base(f), &head); err != nil {
				// names of resources like Patient are lists: the id serves
				head.Title = ""
			}
			name := head.Title
			if name == "" {
				name = id
			}
			list = append(list, item{"reference": item{"reference": fmt.Sprintf("%s/%s", typ, id)}, "name": name, "groupingId": c.folder, "exampleBoolean": c.folder == "examples"})
		}
	}
	return writeResource(filepath.Join(root, "guide"), item{"resourceType": "ImplementationGuide", "id": "qihuang.tcm", "language": "zh-CN", "url": Base + "/ImplementationGuide/qihuang.tcm",
		"version": "0.1.0", "name": "QihuangTCM", "title": "中医馆数据中心 FHIR 实施指南", "status": "draft", "publisher": "岐黄", "packageId": "qihuang.tcm", "fhirVersion": []string{"4.0.1"},
		"description": "中国大陆中医门诊的 FHIR R4 规范：门诊病历、四诊、辨证、中药处方、中医技术、体质与治未病、新农合与医保结算、机构与医生目录。结构以台湾中医实施指南（TWCM）为起点，改用大陆代码。",
		"definition":  item{"grouping": groups, "resource": list}})
}
