package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const ordinal = "http://hl7.org/fhir/StructureDefinition/ordinalValue"

// questionnaires writes the two forms of constitution identification: the 60
// items of ZYYXH/T 157-2009 and the 33 items for the elderly. Scoring is not
// part of them.
func questionnaires(from, to string) error {
	var t struct {
		Standard60 struct {
			Period    string
			Options   []answer
			Subscales []struct {
				Type, Name, Code string
				Items            []struct{ ID, Text, SameQuestionAs, Sex string }
			}
		}
		Elderly33 struct {
			OptionSets map[string][]string
			Items      []struct {
				No                   int
				Key, Text, OptionSet string
			}
		}
	}
	if err := load(from, "constitution.json", &t); err != nil {
		return err
	}
	dir := filepath.Join(filepath.Dir(to), "questionnaires")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	adult := &form{id: "constitution-60", title: "中医体质量表（成人 60 题）", description: "按" + t.Standard60.Period + "作答；体质类型见各组代码（CV05.01.005）。",
		source: "ZYYXH/T 157-2009 中医体质分类与判定；条目取自公开的基层 HIS 实现并核对（二手来源）"}
	for _, s := range t.Standard60.Subscales {
		group := item{"linkId": s.Type, "text": s.Name, "type": "group", "code": []any{coding{Base + "/CodeSystem/cv05-01-005", s.Code}}}
		var questions []item
		for _, q := range s.Items {
			if q.SameQuestionAs == "" {
				questions = append(questions, question(q.ID, q.Text, t.Standard60.Options))
			}
		}
		group["item"] = questions
		adult.items = append(adult.items, group)
	}
	elderly := &form{id: "constitution-33", title: "老年人中医药健康管理服务记录表（33 题）", description: "65 岁及以上老年人中医体质辨识。",
		source: "国家基本公共卫生服务规范老年人中医药健康管理；条目取自公开的基层 HIS 实现（二手来源）"}
	for _, q := range t.Elderly33.Items {
		var options []answer
		for i, text := range t.Elderly33.OptionSets[q.OptionSet] {
			options = append(options, answer{i + 1, text})
		}
		elderly.items = append(elderly.items, question(fmt.Sprint(q.No), q.Text, options))
	}
	for _, f := range []*form{adult, elderly} {
		if err := f.write(dir); err != nil {
			return err
		}
	}
	return nil
}

// answer is one option with its score.
type answer struct {
	Score int
	Text  string
}

type item map[string]any

func question(id, text string, options []answer) item {
	var choices []any
	for _, o := range options {
		choices = append(choices, map[string]any{"valueCoding": map[string]any{"code": fmt.Sprint(o.Score), "display": o.Text,
			"extension": []any{map[string]any{"url": ordinal, "valueDecimal": o.Score}}}})
	}
	return item{"linkId": id, "text": text, "type": "choice", "required": true, "answerOption": choices}
}

type form struct {
	id, title, description, source string
	items                          []item
}

func (f *form) write(dir string) error {
	return writeResource(dir, item{"resourceType": "Questionnaire", "id": f.id, "language": "zh-CN", "url": Base + "/Questionnaire/" + f.id, "version": "0.1.0",
		"name": "Constitution_" + f.id[len(f.id)-2:], "title": f.title, "status": "active", "subjectType": []string{"Patient"}, "publisher": "岐黄",
		"description": f.description, "copyright": "来源：" + f.source, "item": f.items})
}

// writeResource stores a resource under its type and id, in the key order of
// JSON maps, one object of a list a line.
func writeResource(dir string, r map[string]any) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := encode(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s.json", r["resourceType"], r["id"])), lines(b), 0o644)
}

// lines breaks a list of objects after each object of the outermost list, so
// that a change reads well in a diff.
func lines(b []byte) []byte {
	out := make([]byte, 0, len(b)+len(b)/64)
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case quoted && c == '\\':
			out = append(out, c)
			i++
			c = b[i]
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		out = append(out, c)
		if !quoted && c == ',' && depth <= 2 && i > 0 && b[i-1] == '}' {
			out = append(out, '\n')
		}
	}
	return append(out, '\n')
}
