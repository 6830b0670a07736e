package bundle

import (
	"strings"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// foreign writes sections that only the elements' own document has: what the
// template does not know but stood in a section stays there.
func (c *composing) foreign(d *cda.Document) {
	for i := range c.Texts {
		t := &c.Texts[i]
		if n := c.template.Section(t.Section.Code.Code, t.Section.Title); n >= 0 || t.Section.Title == headerTitle {
			c.used["text:"+itoa(i)] = true
		}
	}
}

// unplaced names every fact that the template has no place for.
func (c *composing) unplaced() {
	said := map[string]bool{} // one finding for the like
	say := func(expression, what string) {
		if said[what] {
			return
		}
		said[what] = true
		c.add("warning", "cda-unplaced", expression, what+" 在 "+c.template.Code+" "+c.template.Title+" 中没有位置，未写入",
			"this has no place in "+c.template.Code+" and was not written")
	}
	for _, fact := range recordFacts {
		if *records[fact](&c.Record) != "" && !c.used[fact] {
			say("Composition.section", recordNames[fact])
		}
	}
	for k := range c.Elements {
		if e := &c.Elements[k]; !c.placed[k] {
			say("Observation/"+e.ID, strings.TrimSpace(e.Entry.Code.Code+" "+e.Entry.Name()))
		}
	}
	for k := range c.Coded {
		if !c.used["coded:"+itoa(k)] {
			say("Condition/"+c.Coded[k].ID, "诊断（"+c.Coded[k].Entry.Name()+"）")
		}
	}
	for i := range c.Findings {
		if !c.used["finding:"+itoa(i)] {
			say("Observation/"+c.Findings[i].ID(), "四诊")
		}
	}
	if len(c.Record.Principles) > 0 && !c.used["principles"] {
		say("Composition.extension", "治则治法")
	}
	if r := &c.Reasoning; r.Summary != "" && !c.used["reasoning"] {
		say("ClinicalImpression.summary", "辨证依据")
	} else if r.Mechanism != "" || len(r.Elements) > 0 {
		say("ClinicalImpression.finding", "辨证要素（病因、病性、病位、病势、病机）")
	}
	c.unplacedDiagnoses(say)
	c.unplacedOrders(say)
	for i := range c.Texts {
		if !c.used["text:"+itoa(i)] {
			say("Composition.section", "章节文本（"+c.Texts[i].Section.Title+"）")
		}
	}
}

func (c *composing) unplacedDiagnoses(say func(expression, what string)) {
	names := map[string]string{tcm.Disease: "中医病名", tcm.Syndrome: "中医证候", tcm.Western: "西医诊断"}
	for i := range c.Diagnoses {
		d := &c.Diagnoses[i]
		for _, kind := range d.Kinds() {
			if !c.used["diagnosis:"+itoa(i)+kind] {
				say("Condition/"+d.ID(kind), names[kind])
			}
		}
	}
	if c.Encounter.Insurance != (tcm.Insurance{}) && !c.used["insurance"] {
		say("Encounter.extension", "医疗付费方式")
	}
	if c.Encounter.VisitType != "" && c.factPlace("encounter.visitType") == nil {
		say("Encounter.extension", "初诊标志")
	}
}

// unplacedHerbs names what C0005 does not hold of a herbal prescription.
func (c *composing) unplacedHerbs(p *tcm.HerbalPrescription, say func(expression, what string)) {
	at := "Medication/" + p.ID() + ".ingredient"
	for _, it := range p.Items {
		if it.Price != "" || it.Amount != "" {
			say(at, "药味单价与金额")
		}
		if it.Processing != "" {
			say(at, "炮制")
		}
		if it.Role != "" {
			say(at, "君臣佐使")
		}
	}
	if p.Brewed {
		say("MedicationRequest/"+p.ID(), "代煎")
	}
	if p.Origin.Code != "" {
		say("MedicationRequest/"+p.ID(), "所据方剂代码")
	}
}

// factPlace is the template's element for a fact, nil if it has none.
func (c *composing) factPlace(fact string) *cda.ElementTemplate {
	for _, e := range c.template.Elements() {
		if c.fact(c.template.Code, e.DE, e.Name) == fact {
			return e
		}
	}
	return nil
}

// unplacedOrders names prescriptions, treatments and charges that are not (or only
// in words) in the document.
func (c *composing) unplacedOrders(say func(expression, what string)) {
	ordered := c.template.Code == "C0002" || c.template.Code == "C0003"
	words := ""
	if ordered {
		words = "（医嘱中仅有文字）"
	}
	for i := range c.Herbal {
		p := &c.Herbal[i]
		if p != c.herbal {
			say("MedicationRequest/"+p.ID(), "中药处方 "+p.No+words)
			continue
		}
		c.unplacedHerbs(p, say)
	}
	for i := range c.Facts.Drugs {
		d := &c.Facts.Drugs[i]
		if c.rx == "" || d.No != c.rx || len(c.drugs) == 0 {
			say("MedicationRequest/"+d.ID(), "处方 "+d.No+words)
		} else if d.Price != "" || d.Amount != "" {
			say("MedicationRequest/"+d.ID(), "药品单价与金额")
		}
	}
	for i := range c.Treatments {
		x := &c.Treatments[i]
		switch {
		case !c.used["treatment:"+itoa(i)]:
			say("Procedure/"+x.ID(), "治疗项目"+words)
		case x.Code != "" || x.Price != "" || x.Amount != "" || len(x.Acupoints) > 0:
			say("Procedure/"+x.ID(), "治疗项目的院内编码、腧穴、单价与金额")
		}
	}
	for i := range c.Charges {
		x := &c.Charges[i]
		switch {
		case !c.used["charge:"+itoa(i)]:
			say("ChargeItem/"+x.ID(), "费用明细")
		case x.Quantity != "" || x.Price != "":
			say("ChargeItem/"+x.ID(), "费用明细的数量与单价")
		}
	}
}
