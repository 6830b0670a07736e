package bundle

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

func itoa(n int) string { return strconv.Itoa(n) }

// section fills section i of the template: its elements in order, then what else
// stood in it.
func (c *composing) section(i int) cda.Section {
	t := &c.template.Sections[i]
	s := cda.Section{Code: cda.Code{Code: t.Code, Display: t.Display}, Title: t.Title}
	switch {
	case strings.HasPrefix(t.Code, "DE"):
		s.Code.System, s.Code.SystemName = cda.SystemElements, "卫生信息数据元目录"
	case t.Code != "":
		s.Code.System, s.Code.SystemName = cda.SystemLOINC, "LOINC"
	}
	if c.template.Code == "C0005" && t.Code == "10160-0" || c.template.Code == "C0004" && t.Code == "10160-0" {
		s.Entries = c.medicines(s.Entries)
	}
	for j := range t.Elements {
		s.Entries = c.element(s.Entries, i, &t.Elements[j])
	}
	for k := range c.Elements {
		e := &c.Elements[k]
		if c.placed[k] || e.Section.Title == headerTitle {
			continue
		}
		if c.template.Section(e.Section.Code.Code, first(e.Section.Code.Display, e.Section.Title)) == i && c.home(e) < 0 {
			c.placed[k] = true
			s.Entries = append(s.Entries, e.Entry)
		}
	}
	s.Text = c.narrative(&s)
	return s
}

// home is the section the template has for an element, -1 if none.
func (c *composing) home(e *Element) int {
	n, _ := c.template.Element(e.Entry.Code.Code, e.Entry.Name())
	return n
}

// narrative is the section's text for people: the text that came with it, else
// what its entries say.
func (c *composing) narrative(s *cda.Section) string {
	for i := range c.Texts {
		t := &c.Texts[i]
		if t.Section.Code.Code == s.Code.Code && (s.Code.Code != "" || t.Section.Title == s.Title) {
			c.used["text:"+itoa(i)] = true
			return t.Entry.Text
		}
	}
	return Readable(s)
}

// Readable is a section's entries as text for people, one line each.
func Readable(s *cda.Section) string {
	var b strings.Builder
	for i := range s.Entries {
		if i > 0 {
			b.WriteByte('\n')
		}
		readEntry(&b, &s.Entries[i])
	}
	return b.String()
}

func readEntry(b *strings.Builder, e *cda.Entry) {
	if m := e.Medicine; m != nil {
		b.WriteString(strings.TrimSpace(m.Name + " " + m.Dose.Text + m.Dose.Unit))
	} else {
		b.WriteString(e.Name())
		if v := readable(e.Value); v != "" {
			b.WriteString("：" + v)
		}
	}
	if e.Text != "" {
		b.WriteString("（" + e.Text + "）")
	}
	for i := range e.Parts {
		if v := readable(e.Parts[i].Value); v != "" && e.Value.Type == "ST" && strings.Contains(e.Value.Text, v) {
			continue // the whole says it already
		}
		b.WriteString("；")
		readEntry(b, &e.Parts[i])
	}
}

func readable(v cda.Value) string {
	switch v.Type {
	case "CD":
		return first(words(v.Code), v.Code.Code)
	case "BL":
		return map[string]string{"true": "是", "false": "否"}[v.Text]
	}
	return v.Text + v.Unit
}

// element writes one element of the template: the fact it is, then the data
// elements of that number and name.
func (c *composing) element(to []cda.Entry, section int, t *cda.ElementTemplate) []cda.Entry {
	fact := c.fact(c.template.Code, t.DE, t.Name)
	to = append(to, c.factEntries(fact, t)...)
	for k := range c.Elements {
		e := &c.Elements[k]
		if c.placed[k] || e.Section.Title == headerTitle || e.Entry.Code.Code != t.DE {
			continue
		}
		if n, x := c.template.Element(t.DE, e.Entry.Name()); n == section && x == t {
			c.placed[k] = true
			to = append(to, c.nested(e.Entry, t))
		}
	}
	for k := range c.Coded {
		x := &c.Coded[k]
		if x.Entry.Code.Code != t.DE {
			continue
		}
		if _, el := c.template.Element(t.DE, x.Entry.Name()); el == t {
			c.used["coded:"+itoa(k)] = true
			e := x.Entry
			e.Value = cda.Value{Type: "CD", Code: c.code(x.Coding)}
			e.Code.Display = first(e.Code.Display, t.Name)
			to = append(to, e)
		}
	}
	return to
}

// nested puts the allergy history inside its flag, as the layout has it.
func (c *composing) nested(e cda.Entry, t *cda.ElementTemplate) cda.Entry {
	if t.DE == "DE02.10.023.00" && len(e.Parts) == 0 && c.Record.AllergyHistory != "" && c.fact(c.template.Code, "DE02.10.022.00", "过敏史") != "" && !c.used["record.allergyHistory"] {
		c.used["record.allergyHistory"] = true
		e.Parts = []cda.Entry{c.observe("DE02.10.022.00", "过敏史", cda.Value{Type: "ST", Text: c.Record.AllergyHistory})}
	}
	return e
}

// observe is an observation of a data element; a qualifier names it where the
// template has several of that number.
func (c *composing) observe(de, name string, v cda.Value) cda.Entry {
	e := cda.Entry{Kind: cda.Observation, Code: cda.Code{Code: de, System: cda.SystemElements, SystemName: "卫生信息数据元目录", Display: name}, Value: v}
	if strings.HasPrefix(de, "HDSD") {
		e.Code.System, e.Code.SystemName = cda.SystemFrontPage, "住院病案首页基本数据集"
	}
	if c.template.Twice(de) {
		e.Qualifier = name
	}
	return e
}

// recordFacts are the texts of the record in the order of a record.
var recordFacts = []string{"record.chiefComplaint", "record.presentIllness", "record.pastHistory", "record.allergyHistory",
	"record.personalHistory", "record.familyHistory", "record.physicalExam", "record.advice"}

// records are the texts of the record by their fact.
var records = map[string]func(r *tcm.Record) *string{
	"record.chiefComplaint":  func(r *tcm.Record) *string { return &r.ChiefComplaint },
	"record.presentIllness":  func(r *tcm.Record) *string { return &r.PresentIllness },
	"record.pastHistory":     func(r *tcm.Record) *string { return &r.PastHistory },
	"record.allergyHistory":  func(r *tcm.Record) *string { return &r.AllergyHistory },
	"record.personalHistory": func(r *tcm.Record) *string { return &r.PersonalHistory },
	"record.familyHistory":   func(r *tcm.Record) *string { return &r.FamilyHistory },
	"record.physicalExam":    func(r *tcm.Record) *string { return &r.PhysicalExam },
	"record.advice":          func(r *tcm.Record) *string { return &r.Advice },
}

var recordNames = map[string]string{"record.chiefComplaint": "主诉", "record.presentIllness": "现病史", "record.pastHistory": "既往史",
	"record.allergyHistory": "过敏史", "record.personalHistory": "个人史", "record.familyHistory": "家族史", "record.physicalExam": "体格检查", "record.advice": "医嘱与建议"}

// factEntries are the entries of one fact.
func (c *composing) factEntries(fact string, t *cda.ElementTemplate) []cda.Entry {
	if get := records[fact]; get != nil {
		text := *get(&c.Record)
		if text == "" || c.used[fact] {
			return nil
		}
		c.used[fact] = true
		return []cda.Entry{c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: text})}
	}
	switch fact {
	case "encounter.visitType":
		return c.visitType(t)
	case "encounter.insurance":
		return c.insurance(t)
	case "findings":
		return c.findings(t)
	case "principles":
		return c.principles(t)
	case "differentiation.summary":
		return c.reasoning(t)
	case "diagnosis.western", "diagnosis.tcm":
		return c.diagnosis(t)
	case "diagnosis.westernName", "diagnosis.tcmName":
		return c.diagnosisNames(t)
	case "herbal.text", "herbal.category":
		return c.herbalEntries(fact, t)
	case "prescription.amount":
		return c.amount(t)
	case "charges":
		return c.charges(t)
	case "treatment.name":
		return c.treatments(t)
	}
	if t.DE == "DE06.00.289.00" && (c.template.Code == "C0002" || c.template.Code == "C0003") {
		return c.orders(t)
	}
	return nil
}
