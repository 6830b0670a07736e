package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
)

// This file computes every indicator a second time, in plain Go over the FHIR
// resources that the hub gives out: no SQL, no view, no fact table.

// object is a resource or a part of one.
type object map[string]any

// list returns the objects at a member that repeats.
func (o object) list(name string) (out []object) {
	items, _ := o[name].([]any)
	for _, it := range items {
		if m, ok := it.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// at follows members; numbers in the path index lists.
func (o object) at(path ...any) any {
	var v any = map[string]any(o)
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (o object) text(path ...any) string { s, _ := o.at(path...).(string); return s }
func (o object) number(path ...any) float64 {
	f, _ := o.at(path...).(float64)
	return f
}

// extension returns a member of the extension whose url ends so.
func (o object) extension(end string, path ...any) any {
	for _, x := range o.list("extension") {
		if strings.HasSuffix(x.text("url"), "/"+end) {
			return x.at(path...)
		}
	}
	return nil
}

// coding returns the code of a concept in a code system whose url ends so.
func (o object) coding(end string) string {
	for _, c := range o.list("coding") {
		if strings.HasSuffix(c.text("system"), "/"+end) {
			return c.text("code")
		}
	}
	return ""
}

func (o object) member(name string) object { m, _ := o[name].(map[string]any); return m }

// id is the part of a reference after the last slash.
func id(reference string) string { return reference[strings.LastIndex(reference, "/")+1:] }

// all reads every resource of a type over REST, page by page.
func (h *program) all(typ string) (out []object) {
	h.t.Helper()
	next := h.url("/fhir/" + typ + "?_count=1000")
	for next != "" {
		u, err := url.Parse(next)
		if err != nil {
			h.t.Fatal(err)
		}
		code, body := h.request("GET", u.RequestURI(), "", nil)
		if code != 200 {
			h.t.Fatalf("%s: %d", next, code)
		}
		var b object
		if err := json.Unmarshal(body, &b); err != nil {
			h.t.Fatal(err)
		}
		for _, e := range b.list("entry") {
			out = append(out, e.member("resource"))
		}
		next = ""
		for _, l := range b.list("link") {
			if l.text("relation") == "next" {
				next = l.text("url")
			}
		}
	}
	return out
}

// attendance and script are what the indicators look at.
type attendance struct {
	org, doctor, patient, kind, insurance string
	day                                   time.Time
	scripts                               []*script
	therapies                             []string
	charges                               map[string]float64
	chargeLines                           int
	disease, syndrome, icd10              bool
	codedDisease, codedSyndrome           bool
	findings                              map[string]bool
	record, complaint                     bool
}

type script struct {
	category, formula string
	doses, amount     float64
	items             []item
}

type item struct {
	name, unit string
	dose       float64
}

// province is all of it.
type province struct {
	visits  []*attendance
	scripts []*script
}

// readProvince joins the hub's resources by their references.
func readProvince(h *program, from, to time.Time) *province {
	p, visits := &province{}, map[string]*attendance{}
	zone := time.FixedZone("Asia/Shanghai", 8*3600)
	for _, e := range h.all("Encounter") {
		at, err := time.Parse(time.RFC3339, e.text("period", "start"))
		if e.text("status") != "finished" || err != nil || at.Before(from) || !at.Before(to) {
			continue
		}
		y, m, d := at.In(zone).Date()
		v := &attendance{org: e.text("serviceProvider", "identifier", "value"), doctor: id(e.text("participant", 0, "individual", "reference")), patient: id(e.text("subject", "reference")),
			day: time.Date(y, m, d, 0, 0, 0, 0, zone), charges: map[string]float64{}, findings: map[string]bool{}}
		v.kind, _ = e.extension("visit-type", "valueCoding", "code").(string)
		v.insurance, _ = e.extension("insurance-type", "valueCodeableConcept", "coding", 0, "code").(string)
		visits[e.text("id")], p.visits = v, append(p.visits, v)
	}
	of := func(r object, member string) *attendance { return visits[id(r.text(member, "reference"))] }
	for _, r := range h.all("Procedure") {
		if v := of(r, "encounter"); v != nil {
			v.therapies = append(v.therapies, r.text("code", "text"))
		}
	}
	for _, r := range h.all("ChargeItem") {
		if v := of(r, "context"); v != nil {
			v.charges[r.member("code").coding("charge-category")] += r.number("priceOverride", "value")
			v.chargeLines++
		}
	}
	for _, r := range h.all("Condition") {
		if v := of(r, "encounter"); v != nil {
			v.diagnose(r)
		}
	}
	for _, r := range h.all("Observation") {
		if v, kind := of(r, "encounter"), r.member("code").coding("four-examinations"); v != nil && kind != "" {
			v.findings[kind] = true
		}
	}
	for _, r := range h.all("Composition") {
		if v := of(r, "encounter"); v != nil {
			v.record = true
			for _, s := range r.list("section") {
				v.complaint = v.complaint || s.member("code").coding("record-section") == "chief-complaint"
			}
		}
	}
	p.prescribe(h, visits)
	return p
}

func (v *attendance) diagnose(r object) {
	coded := len(r.member("code").list("coding")) > 0
	for _, c := range r.list("category") {
		switch c.coding("diagnosis-kind") {
		case "tcm-disease":
			v.disease, v.codedDisease = true, v.codedDisease || coded
		case "tcm-syndrome":
			v.syndrome, v.codedSyndrome = true, v.codedSyndrome || coded
		case "western":
			v.icd10 = v.icd10 || coded
		}
	}
}

// prescribe gathers the lines of each prescription number.
func (p *province) prescribe(h *program, visits map[string]*attendance) {
	medications := map[string]object{}
	for _, m := range h.all("Medication") {
		medications[m.text("id")] = m
	}
	byNumber := map[string]*script{}
	for _, r := range h.all("MedicationRequest") {
		v := visits[id(r.text("encounter", "reference"))]
		if v == nil {
			continue
		}
		no := r.text("groupIdentifier", "system") + "|" + r.text("groupIdentifier", "value")
		s := byNumber[no]
		if s == nil {
			s = &script{}
			byNumber[no], p.scripts, v.scripts = s, append(p.scripts, s), append(v.scripts, s)
		}
		for _, c := range r.list("category") {
			if code := c.coding("prescription-category"); code != "" {
				s.category = code
			}
		}
		amount, _ := r.extension("prescription-amount", "valueMoney", "value").(float64)
		s.amount = max(s.amount, amount)
		if m := medications[id(r.text("medicationReference", "reference"))]; m != nil {
			s.formula, s.doses = r.text("medicationReference", "display"), r.number("dispenseRequest", "quantity", "value")
			for _, in := range m.list("ingredient") {
				s.items = append(s.items, item{in.text("itemCodeableConcept", "text"), in.text("strength", "numerator", "unit"), in.number("strength", "numerator", "value")})
			}
		} else {
			s.items = append(s.items, item{name: r.text("medicationCodeableConcept", "text")})
		}
	}
}

func (s *script) herbal() bool { return s.category == "decoction" || s.category == "granule" }

// has reports whether one of the herbs is in the list.
func (s *script) has(names []string) bool {
	return slices.ContainsFunc(s.items, func(it item) bool { return slices.Contains(names, it.name) })
}

// ratio is a numerator over a denominator; a count has the denominator -1.
type ratio struct{ n, d float64 }

// indicators computes everything, by the name of the Measure.
func (p *province) indicators(k *rational.Knowledge) map[string]ratio {
	out := p.visitIndicators()
	herbs := map[string]rational.Herb{}
	for name, h := range k.Names() {
		herbs[name] = *h
	}
	count := func(fn func(*script) bool) (n float64) {
		for _, s := range p.scripts {
			if fn(s) {
				n++
			}
		}
		return n
	}
	sum := func(fn func(*script) float64) (n float64) {
		for _, s := range p.scripts {
			n += fn(s)
		}
		return n
	}
	all, herbal := float64(len(p.scripts)), count((*script).herbal)
	category := func(names ...string) float64 {
		return count(func(s *script) bool { return slices.Contains(names, s.category) })
	}
	clash := func(kind rational.Kind) float64 {
		return count(func(s *script) bool {
			for a, b := range k.Pairs(kind) {
				if s.herbal() && s.has(a) && s.has(b) {
					return true
				}
			}
			return false
		})
	}
	of := func(fn func(item, rational.Herb, bool) bool) float64 {
		return count(func(s *script) bool {
			return s.herbal() && slices.ContainsFunc(s.items, func(it item) bool { h, ok := herbs[it.name]; return fn(it, h, ok) })
		})
	}
	out["prescriptions"] = ratio{all, -1}
	for name, cats := range map[string][]string{"tcm": {"decoction", "granule", "patent"}, "decoction": {"decoction"}, "granule": {"granule"}, "patent": {"patent"}, "western": {"western"}} {
		out[name+"-prescription-share"] = ratio{category(cats...), all}
	}
	out["herbs-per-prescription"] = ratio{sum(func(s *script) float64 { return pick(s.herbal(), float64(len(s.items))) }), herbal}
	out["doses-per-prescription"] = ratio{sum(func(s *script) float64 { return pick(s.herbal(), s.doses) }), herbal}
	out["amount-per-prescription"] = ratio{sum(func(s *script) float64 { return s.amount }), all}
	out["amount-per-dose"] = ratio{sum(func(s *script) float64 { return pick(s.category == "decoction", s.amount) }), sum(func(s *script) float64 { return pick(s.category == "decoction", s.doses) })}
	out["overdose-prescription-rate"] = ratio{of(func(it item, h rational.Herb, ok bool) bool {
		most := float64(h.Max) / float64(rational.Gram)
		return ok && most > 0 && slices.Contains([]string{"", "g", "G", "克"}, it.unit) && it.dose > most
	}), herbal}
	out["toxic-herb-prescription-rate"] = ratio{of(func(_ item, h rational.Herb, ok bool) bool {
		return ok && (h.Toxicity == "有毒" || h.Toxicity == "有大毒")
	}), herbal}
	out["unknown-herb-rate"] = ratio{of(func(_ item, _ rational.Herb, ok bool) bool { return !ok }), herbal}
	out["eighteen-incompatibles-rate"] = ratio{clash("eighteen-incompatibles"), herbal}
	out["nineteen-antagonisms-rate"] = ratio{clash("nineteen-antagonisms"), herbal}
	out["over-seven-dose-rate"] = ratio{count(func(s *script) bool { return s.herbal() && s.doses > 7 }), herbal}
	out["over-five-drug-rate"] = ratio{count(func(s *script) bool { return !s.herbal() && len(s.items) > 5 }), all - herbal}
	out["named-formula-share"] = ratio{count(func(s *script) bool { return s.herbal() && s.formula != "" }), herbal}
	return out
}

func pick(ok bool, v float64) float64 {
	if ok {
		return v
	}
	return 0
}

func (v *attendance) rx(categories ...string) (n int) {
	for _, s := range v.scripts {
		if slices.Contains(categories, s.category) {
			n++
		}
	}
	return n
}

func (v *attendance) cost(categories ...string) (sum float64) {
	for c, amount := range v.charges {
		if len(categories) == 0 || slices.Contains(categories, c) {
			sum += amount
		}
	}
	return sum
}

func (v *attendance) tcm() bool {
	return v.rx("decoction", "granule", "patent") > 0 || len(v.therapies) > 0
}

// visitIndicators are those whose unit is the visit.
func (p *province) visitIndicators() map[string]ratio {
	count := func(fn func(*attendance) bool) (n float64) {
		for _, v := range p.visits {
			if fn(v) {
				n++
			}
		}
		return n
	}
	sum := func(fn func(*attendance) float64) (n float64) {
		for _, v := range p.visits {
			n += fn(v)
		}
		return n
	}
	distinct := func(fn func(*attendance) any) float64 {
		set := map[any]bool{}
		for _, v := range p.visits {
			set[fn(v)] = true
		}
		return float64(len(set))
	}
	all := float64(len(p.visits))
	patients, doctors := distinct(func(v *attendance) any { return v.patient }), distinct(func(v *attendance) any { return v.doctor })
	days := distinct(func(v *attendance) any { return fmt.Sprint(v.org, v.day) })
	doctorDays := distinct(func(v *attendance) any { return fmt.Sprint(v.doctor, v.day) })
	cost := sum(func(v *attendance) float64 { return v.cost() })
	drugs := []string{"decoction", "granule", "patent", "western"}
	drug := sum(func(v *attendance) float64 { return v.cost(drugs...) })
	treated := count(func(v *attendance) bool { return len(v.therapies) > 0 })
	kinds := map[string]bool{}
	for _, v := range p.visits {
		for _, t := range v.therapies {
			kinds[t] = true
		}
	}
	charged := count(func(v *attendance) bool { return v.chargeLines > 0 })
	out := map[string]ratio{
		"outpatient-visits": {all, -1}, "patients-seen": {patients, -1}, "doctors-active": {doctors, -1}, "clinic-days": {days, -1},
		"tcm-visits": {count((*attendance).tcm), -1}, "non-drug-therapy-visits": {treated, -1}, "therapy-kinds": {float64(len(kinds)), -1},
		"therapy-items": {sum(func(v *attendance) float64 { return float64(len(v.therapies)) }), -1}, "total-income": {cost, -1}, "drug-income": {drug, -1},
		"cost-per-visit": {cost, all}, "drug-cost-per-visit": {drug, all}, "drug-cost-share": {drug, cost},
		"decoction-share-of-drug-cost": {sum(func(v *attendance) float64 { return v.cost("decoction") }), drug}, "granule-share-of-drug-cost": {sum(func(v *attendance) float64 { return v.cost("granule") }), drug},
		"patent-share-of-drug-cost": {sum(func(v *attendance) float64 { return v.cost("patent") }), drug}, "western-share-of-drug-cost": {sum(func(v *attendance) float64 { return v.cost("western") }), drug},
		"tcm-drug-share-of-drug-cost":    {sum(func(v *attendance) float64 { return v.cost("decoction", "granule", "patent") }), drug},
		"therapy-cost-share":             {sum(func(v *attendance) float64 { return v.cost("treatment") }), cost},
		"therapy-cost-per-therapy-visit": {sum(func(v *attendance) float64 { return pick(len(v.therapies) > 0, v.cost("treatment")) }), treated},
		"examination-cost-share":         {sum(func(v *attendance) float64 { return v.cost("examination", "laboratory") }), cost},
		"high-cost-visit-share":          {count(func(v *attendance) bool { return v.cost() > 3*cost/charged }), all},
		"coded-disease-rate":             {count(func(v *attendance) bool { return v.codedDisease }), count(func(v *attendance) bool { return v.disease })},
		"coded-syndrome-rate":            {count(func(v *attendance) bool { return v.codedSyndrome }), count(func(v *attendance) bool { return v.syndrome })},
		"visits-per-doctor-day":          {all, doctorDays}, "visits-per-clinic-day": {all, days}, "visits-per-patient": {all, patients},
	}
	for name, fn := range map[string]func(*attendance) bool{
		"first-visit-share": func(v *attendance) bool { return v.kind == "1" }, "return-visit-share": func(v *attendance) bool { return v.kind == "2" }, "tcm-visit-share": (*attendance).tcm,
		"decoction-visit-share": func(v *attendance) bool { return v.rx("decoction") > 0 }, "granule-visit-share": func(v *attendance) bool { return v.rx("granule") > 0 },
		"herbal-visit-share": func(v *attendance) bool { return v.rx("decoction", "granule") > 0 }, "patent-visit-share": func(v *attendance) bool { return v.rx("patent") > 0 },
		"western-visit-share": func(v *attendance) bool { return v.rx("western") > 0 }, "no-prescription-visit-share": func(v *attendance) bool { return len(v.scripts) == 0 },
		"non-drug-therapy-visit-share": func(v *attendance) bool { return len(v.therapies) > 0 },
		"ncms-visit-share":             func(v *attendance) bool { return v.insurance == "03" }, "resident-insurance-visit-share": func(v *attendance) bool { return v.insurance == "02" },
		"employee-insurance-visit-share": func(v *attendance) bool { return v.insurance == "01" }, "self-pay-visit-share": func(v *attendance) bool { return v.insurance == "07" },
		"dual-diagnosis-rate": func(v *attendance) bool { return v.disease && v.icd10 }, "syndrome-recorded-rate": func(v *attendance) bool { return v.syndrome },
		"tcm-disease-recorded-rate": func(v *attendance) bool { return v.disease }, "icd10-recorded-rate": func(v *attendance) bool { return v.icd10 },
		"tongue-pulse-rate": func(v *attendance) bool { return v.findings["tongue"] && v.findings["pulse"] }, "tongue-recorded-rate": func(v *attendance) bool { return v.findings["tongue"] },
		"pulse-recorded-rate": func(v *attendance) bool { return v.findings["pulse"] },
		"four-examinations-rate": func(v *attendance) bool {
			return v.findings["inspection"] && v.findings["listening"] && v.findings["inquiry"] && v.findings["palpation"]
		},
		"record-rate": func(v *attendance) bool { return v.record }, "chief-complaint-rate": func(v *attendance) bool { return v.complaint },
		"charged-visit-rate": func(v *attendance) bool { return v.chargeLines > 0 }, "weekend-visit-share": func(v *attendance) bool { w := v.day.Weekday(); return w == time.Saturday || w == time.Sunday },
	} {
		out[name] = ratio{count(fn), all}
	}
	return out
}

func same(a, b float64) bool { return math.Abs(a-b) < 1e-6*max(1, math.Abs(a), math.Abs(b)) }

// check compares one computed pair with an expected one.
func (want ratio) check(t *testing.T, what string, n, d float64) {
	t.Helper()
	if !same(n, want.n) || want.d >= 0 && !same(d, want.d) {
		t.Errorf("%s: %g / %g, recomputed %g / %g", what, n, d, want.n, want.d)
	}
}
