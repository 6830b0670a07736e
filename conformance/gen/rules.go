package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ruleRow is one rule of rules/rational.json.
type ruleRow struct {
	ID, Kind, Severity, Level, Source, Edition, Review string
	A, B, Herbs                                        []string
}

var kindTitles = map[string]string{"eighteen-incompatibles": "十八反", "nineteen-antagonisms": "十九畏", "pregnancy": "妊娠", "controlled": "特殊管理药品", "decoction": "煎煮法"}

// ruleResources writes the rules of rational use as a Library that carries the
// table and a PlanDefinition whose actions are the rules, each with its source,
// edition and review state. The conditions are FHIRPath over the Medication of a
// prescription, by official names; aliases and doses are the evaluator's work.
func ruleResources(_, to string) error {
	dir := filepath.Join(filepath.Dir(to), "rules")
	table, err := os.ReadFile(filepath.Join(dir, "rational.json"))
	if err != nil {
		return err
	}
	var rules struct{ Pairs, Lists []ruleRow }
	if err := json.Unmarshal(table, &rules); err != nil {
		return err
	}
	const canonical = Base + "/Library/rational-use"
	library := item{"resourceType": "Library", "id": "rational-use", "language": "zh-CN", "url": canonical, "version": "0.1.0", "name": "RationalUse",
		"title": "中药合理用药规则表", "status": "draft", "publisher": "岐黄", "description": "十八反、十九畏、妊娠、特殊管理药品与煎煮法；逐条带来源、版本与审核状态。未经临床审核。",
		"type":    item{"coding": []any{item{"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "asset-collection"}}},
		"content": []any{item{"contentType": "application/json", "title": "rational.json", "data": base64.StdEncoding.EncodeToString(table)}}}
	if err := writeResource(dir, library); err != nil {
		return err
	}
	var actions []item
	for _, r := range append(rules.Pairs, rules.Lists...) {
		actions = append(actions, r.action())
	}
	return writeResource(dir, item{"resourceType": "PlanDefinition", "id": "rational-use", "language": "zh-CN", "url": Base + "/PlanDefinition/rational-use", "version": "0.1.0",
		"name": "RationalUse", "title": "中药合理用药规则", "status": "draft", "publisher": "岐黄", "library": []string{canonical},
		"type":        item{"coding": []any{item{"system": "http://terminology.hl7.org/CodeSystem/plan-definition-type", "code": "eca-rule"}}},
		"description": "条件是对处方 Medication 的 FHIRPath，按药典名书写；别名归一、炮制品合并与剂量上限由评估器完成。未经临床审核。", "action": actions})
}

func (r ruleRow) action() item {
	condition, text := herbIn(r.Herbs), strings.Join(r.Herbs, "、")
	if len(r.A) > 0 {
		condition = herbIn(r.A) + " and " + herbIn(r.B)
		text = strings.Join(r.A, "、") + " 与 " + strings.Join(r.B, "、")
	}
	title := kindTitles[r.Kind]
	if r.Level != "" {
		title += "：" + r.Level
	}
	priority := map[string]string{"block": "stat", "warning": "urgent", "information": "routine"}[r.Severity]
	return item{"id": r.ID, "title": title, "description": text, "priority": priority,
		"documentation": []any{item{"type": "citation", "label": fmt.Sprintf("版本 %s；审核状态 %s", r.Edition, r.Review), "citation": r.Source}},
		"condition":     []any{item{"kind": "applicability", "expression": item{"language": "text/fhirpath", "expression": condition}}}}
}

func herbIn(names []string) string {
	return "Medication.ingredient.item.ofType(CodeableConcept).text.where($this in ('" + strings.Join(names, "'|'") + "')).exists()"
}
