package bundle

import (
	"strings"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

var visitTypes = map[string]tcm.Coding{"first": {System: tcm.SystemVisitType, Code: "1", Display: "初诊"}, "return": {System: tcm.SystemVisitType, Code: "2", Display: "复诊"}}

func (c *composing) visitType(t *cda.ElementTemplate) []cda.Entry {
	v, ok := visitTypes[c.Encounter.VisitType]
	if !ok {
		return nil
	}
	return []cda.Entry{c.observe(t.DE, t.Name, cda.Value{Type: "CD", Code: c.code(v)})}
}

func (c *composing) insurance(t *cda.ElementTemplate) []cda.Entry {
	in := c.Encounter.Insurance
	if in == (tcm.Insurance{}) {
		return nil
	}
	code := c.code(in.Coding)
	if in.Coding.Code == "" {
		code = cda.Code{NullFlavor: "OTH", Original: in.Text}
	} else if in.Text != in.Coding.Display {
		code.Original = in.Text
	}
	c.used["insurance"] = true
	return []cda.Entry{c.observe(t.DE, t.Name, cda.Value{Type: "CD", Code: code})}
}

// examinations are the four examinations in the order doctors write them.
var examinations = []struct{ kind, name string }{{tcm.Inspection, "望诊"}, {tcm.Listening, "闻诊"}, {tcm.Inquiry, "问诊"},
	{tcm.Palpation, "切诊"}, {tcm.Tongue, "舌象"}, {tcm.Pulse, "脉象"}}

// findings writes 四诊 as one text, with the examinations as its parts.
func (c *composing) findings(t *cda.ElementTemplate) []cda.Entry {
	var whole []string
	var parts []cda.Entry
	for _, x := range examinations {
		for i := range c.Findings {
			f := &c.Findings[i]
			if f.Kind != x.kind {
				continue
			}
			text := f.Text
			if text == "" {
				text = termWords(f.Terms)
			}
			whole = append(whole, x.name+"："+text)
			p := c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: text})
			p.Qualifier = x.name
			for _, term := range f.Terms {
				one := c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: term.Text})
				one.Qualifier = first(term.Part, x.name)
				p.Parts = append(p.Parts, one)
			}
			parts = append(parts, p)
			c.used["finding:"+itoa(i)] = true
		}
	}
	if parts == nil {
		return nil
	}
	e := c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: strings.Join(whole, "；")})
	e.Parts = parts
	return []cda.Entry{e}
}

// termWords is a finding's coded terms as text.
func termWords(terms []tcm.Term) string {
	words := make([]string, len(terms))
	for i, t := range terms {
		words[i] = t.Text
	}
	return strings.Join(words, "，")
}

// principles writes 治则治法, one entry each; a code of GB/T 16751.3 has no object
// identifier and stands as translation.
func (c *composing) principles(t *cda.ElementTemplate) []cda.Entry {
	var out []cda.Entry
	for _, p := range c.Record.Principles {
		v := cda.Value{Type: "ST", Text: p.Display}
		if p.Code != "" {
			v = cda.Value{Type: "CD", Code: c.code(p)}
		}
		out = append(out, c.observe(t.DE, t.Name, v))
	}
	c.used["principles"] = true
	return out
}

func (c *composing) reasoning(t *cda.ElementTemplate) []cda.Entry {
	c.used["reasoning"] = true
	if c.Reasoning.Summary == "" {
		return nil
	}
	return []cda.Entry{c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: c.Reasoning.Summary})}
}

// diagnosis writes the diagnoses of the element's kind. An id of the document
// (DX1, DX2 …) says which of them belong together.
func (c *composing) diagnosis(t *cda.ElementTemplate) []cda.Entry {
	other := strings.HasPrefix(t.Name, "其他")
	split := false // the template has an element for the further western diagnoses
	for _, x := range c.template.Elements() {
		split = split || x.DE == t.DE && strings.HasPrefix(x.Name, "其他")
	}
	var out []cda.Entry
	for i := range c.Diagnoses {
		d := &c.Diagnoses[i]
		kind, coding := kindOf(t), d.Western
		switch kind {
		case tcm.Disease:
			coding = d.Disease
		case tcm.Syndrome:
			coding = d.Syndrome
		}
		if coding == (tcm.Coding{}) || kind == tcm.Western && split && other != (i > 0) || coding.Code == "" && c.named(t.DE) {
			continue
		}
		e := c.observe(t.DE, t.Name, cda.Value{Type: "CD", Code: c.code(coding)})
		e.ID = cda.ID{Root: documentRoot(c.documentID()), Extension: "DX" + itoa(i+1)}
		c.used["diagnosis:"+itoa(i)+kind] = true
		out = append(out, e)
	}
	return out
}

// named reports whether the template has an element of its own for the names of
// diagnoses of a kind: those without a code stand there.
func (c *composing) named(de string) bool {
	name := map[string]string{"DE05.01.024.00": "diagnosis.westernName", "DE05.10.130.00": "diagnosis.tcmName"}[de]
	return name != "" && c.factPlace(name) != nil
}

// diagnosisNames writes the diagnoses that have no code.
func (c *composing) diagnosisNames(t *cda.ElementTemplate) []cda.Entry {
	var out []cda.Entry
	for i := range c.Diagnoses {
		d, kind := &c.Diagnoses[i], kindOf(t)
		coding := map[string]tcm.Coding{tcm.Disease: d.Disease, tcm.Syndrome: d.Syndrome, tcm.Western: d.Western}[kind]
		if coding.Code != "" || coding.Display == "" {
			continue
		}
		e := c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: coding.Display})
		e.ID = cda.ID{Root: documentRoot(c.documentID()), Extension: "DX" + itoa(i+1)}
		c.used["diagnosis:"+itoa(i)+kind] = true
		out = append(out, e)
	}
	return out
}

// kindOf is the kind of diagnosis an element holds.
func kindOf(t *cda.ElementTemplate) string { return diagnosisKind(t.DE, t.Name) }

func diagnosisKind(de, name string) string {
	switch {
	case de == "DE05.01.024.00" || de == "DE05.01.025.00":
		return tcm.Western
	case strings.Contains(name, "证候") || strings.Contains(name, "主症"):
		return tcm.Syndrome
	}
	return tcm.Disease
}

// medicines writes a substanceAdministration per herb or drug.
func (c *composing) medicines(to []cda.Entry) []cda.Entry {
	if p := c.herbal; p != nil {
		for i := range p.Items {
			to = append(to, c.herb(p, &p.Items[i]))
		}
	}
	for _, d := range c.drugs {
		e := cda.Entry{Kind: cda.Drug, Text: d.Dosage, Medicine: &cda.Medicine{Name: d.Name, Code: localCode(tcm.SystemOf("drug", c.Organization.Code), d.Code, d.Name),
			Route: c.code(d.Route), Form: c.code(d.Form), Frequency: c.frequency(d.Frequency)}}
		if d.Dose != "" {
			e.Medicine.Dose = cda.Value{Type: "PQ", Text: d.Dose, Unit: d.DoseUnit}
		}
		e.Parts = c.drugParts(d.Specification, d.Quantity, d.Unit)
		to = append(to, e)
	}
	return to
}

func (c *composing) herb(p *tcm.HerbalPrescription, it *tcm.Ingredient) cda.Entry {
	e := cda.Entry{Kind: cda.Drug, Text: it.Note, Medicine: &cda.Medicine{Name: it.Name, Code: localCode(tcm.SystemOf("drug", c.Organization.Code), it.Code, it.Name),
		Route: c.code(p.Route), Form: c.code(p.Form), Frequency: c.frequency(p.Frequency)}}
	if it.Dose != "" {
		e.Medicine.Dose = cda.Value{Type: "PQ", Text: it.Dose, Unit: it.Unit}
	}
	e.Parts = c.drugParts(it.Specification, it.Quantity, it.Unit)
	return e
}

func (c *composing) drugParts(specification, quantity, unit string) []cda.Entry {
	var out []cda.Entry
	if specification != "" {
		out = append(out, c.observe("DE08.50.043.00", "药物规格", cda.Value{Type: "ST", Text: specification}))
	}
	if quantity != "" {
		out = append(out, c.observe("DE06.00.135.00", "药物使用总剂量", cda.Value{Type: "PQ", Text: quantity, Unit: unit}))
	}
	return out
}

// frequency codes how often by CV06.00.228 where the word is in it.
func (c *composing) frequency(word string) cda.Code {
	if word == "" {
		return cda.Code{}
	}
	if t := c.catalogue.Table(cda.SystemFrequency); t != nil {
		for code, display := range t.Codes {
			if display == word {
				return cda.Code{Code: code, System: t.OID, SystemName: t.Name, Display: display}
			}
		}
	}
	return cda.Code{NullFlavor: "OTH", Original: word}
}

// herbText is 中药饮片处方: the formula, a colon, the herbs with doses and notes.
func herbText(p *tcm.HerbalPrescription) string {
	var b strings.Builder
	if p.Formula != "" {
		b.WriteString(p.Formula + "：")
	}
	for i, it := range p.Items {
		if i > 0 {
			b.WriteString("，")
		}
		b.WriteString(strings.TrimSpace(it.Name + " " + it.Dose + it.Unit))
		if it.Note != "" {
			b.WriteString("（" + it.Note + "）")
		}
	}
	return b.String()
}

const categoryTable = "2.16.156.10011.2.3.2.40" // DE08.50.032.00 处方类别代码

func (c *composing) herbalEntries(fact string, t *cda.ElementTemplate) []cda.Entry {
	p := c.herbal
	if fact == "herbal.category" && p == nil && len(c.drugs) > 0 {
		return []cda.Entry{c.observe(t.DE, t.Name, cda.Value{Type: "CD", Code: c.code(tcm.Coding{System: oidPrefix + categoryTable, Code: "2"})})}
	}
	if p == nil {
		return nil
	}
	if fact == "herbal.category" {
		code := cda.Code{NullFlavor: "OTH", Original: "中药配方颗粒处方"}
		if p.Category == tcm.Decoction {
			code = c.code(tcm.Coding{System: oidPrefix + categoryTable, Code: "1"})
		}
		return []cda.Entry{c.observe(t.DE, t.Name, cda.Value{Type: "CD", Code: code})}
	}
	for k := range c.Elements { // the sender's own words of it
		if c.Elements[k].Entry.Code.Code == t.DE && !c.placed[k] {
			c.placed[k] = true
			e := c.Elements[k].Entry
			e.Parts = append(c.herbalParts(p), e.Parts...)
			return []cda.Entry{e}
		}
	}
	e := c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: herbText(p)})
	e.Parts = c.herbalParts(p)
	return []cda.Entry{e}
}

// herbalParts are number of doses and method, with 中药用药法 if it came so.
func (c *composing) herbalParts(p *tcm.HerbalPrescription) []cda.Entry {
	var out []cda.Entry
	if p.Doses != "" {
		out = append(out, c.observe("DE08.50.050.00", "中药饮片剂数", cda.Value{Type: "PQ", Text: p.Doses}))
	}
	if p.Usage != "" {
		out = append(out, c.observe("DE08.50.047.00", "中药饮片煎煮法", cda.Value{Type: "ST", Text: p.Usage}))
	}
	for k := range c.Elements {
		if e := &c.Elements[k]; e.Entry.Code.Code == "DE06.00.136.00" && !c.placed[k] {
			c.placed[k] = true
			out = append(out, e.Entry)
		}
	}
	return out
}

func (c *composing) amount(t *cda.ElementTemplate) []cda.Entry {
	total := ""
	if c.herbal != nil {
		total = c.herbal.Amount
	} else if len(c.drugs) > 0 {
		total = c.drugs[0].Total
	}
	if total == "" {
		return nil
	}
	return []cda.Entry{c.observe(t.DE, t.Name, cda.Value{Type: "MO", Text: total, Unit: "元"})}
}

// charges writes the sum, with the lines of the bill as its parts: category as
// qualifier, number as id, what for as text.
func (c *composing) charges(t *cda.ElementTemplate) []cda.Entry {
	if len(c.Charges) == 0 {
		return nil
	}
	sum := decimal.Zero
	var parts []cda.Entry
	for i := range c.Charges {
		x := &c.Charges[i]
		if v, err := decimal.NewFromString(x.Amount); err == nil {
			sum = sum.Add(v)
		}
		p := c.observe(t.DE, t.Name, cda.Value{Type: "MO", Text: x.Amount, Unit: "元"})
		p.Qualifier, p.Text, p.Time = first(x.Category, "未分类"), x.Name, c.other(x.Time)
		p.ID = cda.ID{Root: documentRoot(c.documentID()), Extension: x.No}
		parts = append(parts, p)
		c.used["charge:"+itoa(i)] = true
	}
	e := c.observe(t.DE, t.Name, cda.Value{Type: "MO", Text: sum.String(), Unit: "元"})
	e.Parts = parts
	return []cda.Entry{e}
}

// other is a time that differs from the visit's, else "".
func (c *composing) other(t string) string {
	if ts := c.timestamp(t); ts != c.timestamp(c.Encounter.Start) {
		return ts
	}
	return ""
}

func (c *composing) treatments(t *cda.ElementTemplate) []cda.Entry {
	var out []cda.Entry
	for i := range c.Treatments {
		x := &c.Treatments[i]
		e := c.observe(t.DE, t.Name, cda.Value{Type: "ST", Text: x.Name})
		e.Time = c.other(x.Time)
		if x.Quantity != "" {
			e.Parts = []cda.Entry{c.observe("DE06.00.250.00", "操作次数", cda.Value{Type: "PQ", Text: x.Quantity})}
		}
		c.used["treatment:"+itoa(i)] = true
		out = append(out, e)
	}
	return out
}

// orders writes prescriptions and treatments as 医嘱项目: kind and words. They are
// for people; the prescription documents hold them exactly.
func (c *composing) orders(t *cda.ElementTemplate) []cda.Entry {
	var out []cda.Entry
	add := func(code, content string) {
		for k := range c.Elements { // the document had it already
			if e := &c.Elements[k].Entry; e.Code.Code == t.DE && len(e.Parts) > 0 && e.Parts[0].Value.Text == content {
				return
			}
		}
		e := c.observe(t.DE, t.Name, cda.Value{Type: "CD", Code: c.code(tcm.Coding{System: oidPrefix + orderTable, Code: code})})
		e.Parts = []cda.Entry{c.observe("DE06.00.288.00", "医嘱项目内容", cda.Value{Type: "ST", Text: content})}
		out = append(out, e)
	}
	for i := range c.Herbal {
		p := &c.Herbal[i]
		add("01", strings.TrimSpace(herbText(p)+"；"+p.Doses+"剂；"+p.Usage))
	}
	for i := range c.Facts.Drugs {
		d := &c.Facts.Drugs[i]
		add("01", strings.TrimSpace(strings.TrimSpace(d.Name+" "+d.Quantity+d.Unit)+" "+d.Dosage))
	}
	for i := range c.Treatments {
		x := &c.Treatments[i]
		add("05", strings.TrimSpace(x.Name+" "+x.Quantity))
	}
	return out
}

const orderTable = "2.16.156.10011.2.3.1.268" // CV06.00.229 医嘱项目类型代码

// documentRoot is a UUID of a document's number, the root of its inner ids.
func documentRoot(id string) string { return patientRoot("document/" + id) }
