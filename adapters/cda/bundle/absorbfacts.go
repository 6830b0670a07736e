package bundle

import (
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// finding reads 四诊: the examinations are the parts that a qualifier names. A text
// without parts stays a data element: which examination it is of is not said.
func (a *absorbing) finding(e *cda.Entry) bool {
	var rest []cda.Entry
	took := false
	for _, p := range e.Parts {
		i := slices.IndexFunc(examinations, func(x struct{ kind, name string }) bool { return x.name == p.Qualifier })
		if i < 0 || p.Value.Type != "ST" {
			rest = append(rest, p)
			continue
		}
		took = true
		f := tcm.Finding{Kind: examinations[i].kind, Text: p.Value.Text}
		for _, term := range p.Parts {
			one := tcm.Term{Part: term.Qualifier, Text: term.Value.Text}
			if one.Part == examinations[i].name {
				one.Part = ""
			}
			f.Terms = append(f.Terms, one)
		}
		if f.Terms != nil && termWords(f.Terms) == f.Text {
			f.Text = ""
		}
		a.facts.Findings = append(a.facts.Findings, f)
	}
	e.Parts = rest
	return took
}

// principle reads one 治则治法: words, or a code.
func (a *absorbing) principle(e *cda.Entry) bool {
	p := tcm.Coding{Display: e.Value.Text}
	if e.Value.Type == "CD" {
		if p = local(e.Value.Code); e.Value.Code.Code != "" {
			p = codingOf(e.Value.Code)
		}
		p.Display = first(p.Display, words(e.Value.Code))
	}
	if p == (tcm.Coding{}) {
		return false
	}
	a.facts.Record.Principles = append(a.facts.Record.Principles, p)
	return true
}

// diagnosis reads a coded diagnosis, or the name of one.
func (a *absorbing) diagnosis(fact string, e *cda.Entry) bool {
	kind, mark := diagnosisKind(e.Code.Code, e.Name()), ""
	if strings.HasPrefix(e.ID.Extension, "DX") {
		mark = e.ID.Extension
	}
	switch {
	case fact == "diagnosis.westernName", fact == "diagnosis.tcmName":
		if e.Value.Text != "" {
			a.named = append(a.named, namedDiagnosis{kind, e.Value.Text, mark})
		}
		return e.Value.Type == "ST"
	case e.Value.Type == "ST" && e.Value.Text != "":
		e.Value = cda.Value{Type: "CD", Code: cda.Code{Original: e.Value.Text}}
	case e.Value.Type != "CD":
		return false
	}
	c := a.diagnosisCoding(e, kind)
	if c == (tcm.Coding{}) {
		return false
	}
	if strings.HasPrefix(fact, "coded.") {
		x := *e
		x.Value, x.Parts = cda.Value{}, nil
		a.facts.Coded = append(a.facts.Coded, Coded{Element: Element{Section: a.section, Entry: x}, Kind: kind, Coding: c})
		return true
	}
	i := kindIndex[kind]
	a.coded[i], a.marks[i] = append(a.coded[i], c), append(a.marks[i], mark)
	return true
}

// diagnosisCoding is the code with its national system by its shape, or the words.
// A code of no national shape stays under the system it came with.
func (a *absorbing) diagnosisCoding(e *cda.Entry, kind string) tcm.Coding {
	v := e.Value.Code
	if v.Code == "" && v.Local != nil {
		return local(v)
	}
	c := tcm.Coding{Code: v.Code, Display: words(v)}
	if v.Code == "" {
		return c
	}
	system, ok := tcm.CodingSystem(v.Code, kind == tcm.Western)
	switch {
	case ok && (v.System == "" || v.System == cda.SystemTCM || v.System == cda.SystemICD10):
		c.System = system
	default:
		c.System = systemOf(v)
		a.add("warning", "cda-code", e.Code.Code, "诊断代码不是所称代码系统的形式，按原代码系统保留", "the code has not the shape of its code system; kept under it")
	}
	return c
}

// charges reads the sum of the bill, or one of its lines.
func (a *absorbing) charges(e, parent *cda.Entry) bool {
	if parent == nil {
		lines := 0
		for i := range e.Parts {
			if e.Parts[i].Code.Code == e.Code.Code {
				lines++
			}
		}
		return lines > 0 // the sum follows from the lines
	}
	t, _ := a.dateTime(e.Time)
	a.facts.Charges = append(a.facts.Charges, tcm.Charge{Visit: tcm.Visit{Time: t}, No: e.ID.Extension, Name: e.Text, Category: e.Qualifier, Amount: e.Value.Text})
	return true
}

func (a *absorbing) treatment(e *cda.Entry) bool {
	if e.Value.Type != "ST" || e.Value.Text == "" {
		return false
	}
	t, _ := a.dateTime(e.Time)
	x := tcm.Treatment{Visit: tcm.Visit{Time: t}, Name: e.Value.Text}
	var rest []cda.Entry
	for _, p := range e.Parts {
		if p.Code.Code == "DE06.00.250.00" && isNumber(p.Value.Text) {
			x.Quantity = p.Value.Text
		} else {
			rest = append(rest, p)
		}
	}
	e.Parts = rest
	a.facts.Treatments = append(a.facts.Treatments, x)
	return true
}

// herbal reads what a herbal prescription says as a whole.
func (a *absorbing) herbal(fact string, e *cda.Entry) bool {
	switch fact {
	case "herbal.doses":
		a.rx.Doses = e.Value.Text
		return isNumber(e.Value.Text)
	case "herbal.usage":
		a.rx.Usage = e.Value.Text
		return true
	case "herbal.category":
		switch {
		case e.Value.Code.Code == "1":
			a.rx.Category = tcm.Decoction
		case e.Value.Code.Code == "2":
			a.rx.Category = tcm.Patent
		case strings.Contains(words(e.Value.Code), "颗粒"):
			a.rx.Category = tcm.Granule
		default:
			return false
		}
		return true
	}
	a.herbText = e.Value.Text
	return false // kept as an element unless it only repeats the herbs
}

// medicine reads one drug or herb of a prescription.
func (a *absorbing) medicine(e *cda.Entry) {
	m := e.Medicine
	code := local(m.Code)
	it := tcm.Ingredient{Code: code.Code, Name: m.Name, Dose: m.Dose.Text, Unit: m.Dose.Unit, Note: e.Text}
	if it.Dose != "" && !isNumber(it.Dose) {
		a.add("warning", "cda-dose", "substanceAdministration/doseQuantity", "剂量不是数字，按脚注保留", "the dose is no number and was kept as a note")
		it.Note, it.Dose = strings.TrimSpace(it.Note+" "+it.Dose+it.Unit), ""
	}
	for _, p := range e.Parts {
		switch {
		case p.Code.Code == "DE08.50.043.00" && p.Value.Text != "":
			it.Specification = p.Value.Text
		case p.Code.Code == "DE06.00.135.00" && isNumber(p.Value.Text):
			it.Quantity, it.Unit = p.Value.Text, first(it.Unit, p.Value.Unit)
		case p.Value.Empty():
		default:
			a.add("warning", "cda-unplaced", "substanceAdministration", "药品下的数据元没有位置，未转换："+p.Code.Code+" "+p.Name(), "an element below a drug was not converted: "+p.Code.Code)
		}
	}
	route, form, frequency := codingOf(m.Route), codingOf(m.Form), words(m.Frequency)
	d := tcm.DrugRequest{Code: it.Code, Name: it.Name, Dose: it.Dose, DoseUnit: m.Dose.Unit, Quantity: it.Quantity, Dosage: it.Note,
		Specification: it.Specification, Route: route, Form: form, Frequency: frequency}
	for _, p := range e.Parts {
		if p.Code.Code == "DE06.00.135.00" {
			d.Unit = p.Value.Unit
		}
	}
	a.drugs = append(a.drugs, d)
	if a.template.Code == "C0004" {
		return
	}
	a.herbs = append(a.herbs, it)
	same := func(what string, to *tcm.Coding, v tcm.Coding) {
		if *to == (tcm.Coding{}) {
			*to = v
		} else if v != *to && v.Code != "" {
			a.add("warning", "cda-differs", "substanceAdministration", what+"各味不同，保留第一味的", "herbs differ in this; the first one's is kept")
		}
	}
	same("用药途径", &a.rx.Route, route)
	same("剂型", &a.rx.Form, form)
	a.rx.Frequency = first(a.rx.Frequency, frequency)
}

// finish joins what several entries told.
func (a *absorbing) finish() {
	f := a.facts
	a.joinNames()
	a.groupDiagnoses()
	if a.template.Code == "C0005" {
		a.prescription()
	}
	if a.template.Code == "C0004" {
		a.prescribe(tcm.WesternRx)
	}
	r := &f.Record
	r.VisitNo, r.OrgName, r.DoctorName = f.Encounter.VisitNo, f.Organization.Name, f.Doctor.Name
}

// prescribe makes requests of the drugs read.
func (a *absorbing) prescribe(category string) {
	for _, d := range a.drugs {
		d.No, d.Total, d.Category = first(a.rx.No, a.facts.DocID), a.total, category
		a.facts.Drugs = append(a.facts.Drugs, d)
	}
}

// joinNames gives codes without words the names that came beside them; names
// without a code are diagnoses of their own.
func (a *absorbing) joinNames() {
	taken := [3]int{}
	for _, n := range a.named {
		i := kindIndex[n.kind]
		if j := taken[i]; j < len(a.coded[i]) && n.mark == "" {
			c := &a.coded[i][j]
			taken[i]++
			if c.Display == "" {
				c.Display = n.name
			}
			if c.Display == n.name {
				continue
			}
			a.add("warning", "cda-differs", "diagnosis", "诊断名称与代码的显示名不同，另存", "name and display differ; kept apart")
		}
		a.coded[i], a.marks[i] = append(a.coded[i], tcm.Coding{Display: n.name}), append(a.marks[i], n.mark)
		taken[i] = len(a.coded[i])
	}
}

// groupDiagnoses puts together what the document marks as one diagnosis; without
// marks the n-th of each kind.
func (a *absorbing) groupDiagnoses() {
	var out []tcm.Diagnosis
	at := map[string]int{}
	for kind := range a.coded {
		for n, c := range a.coded[kind] {
			key := a.marks[kind][n]
			if key == "" {
				key = "#" + strconv.Itoa(n)
			}
			i, ok := at[key]
			if !ok {
				i = len(out)
				at[key] = i
				out = append(out, tcm.Diagnosis{})
			}
			switch kind {
			case 0:
				out[i].Disease = c
			case 1:
				out[i].Syndrome = c
			default:
				out[i].Western = c
			}
		}
	}
	if len(at) > 0 && !strings.HasPrefix(firstKey(at), "#") {
		out = byMark(out, at)
	}
	for i := range out {
		out[i].Rank = i + 1
	}
	a.facts.Diagnoses = out
}

func firstKey(at map[string]int) string {
	for k, i := range at {
		if i == 0 {
			return k
		}
	}
	return ""
}

// byMark orders diagnoses by the number in their mark.
func byMark(list []tcm.Diagnosis, at map[string]int) []tcm.Diagnosis {
	keys := make([]string, len(list))
	for k, i := range at {
		keys[i] = k
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	number := func(i int) int {
		n, err := strconv.Atoi(strings.TrimPrefix(keys[i], "DX"))
		if err != nil {
			return 1 << 20
		}
		return n
	}
	slices.SortStableFunc(order, func(x, y int) int { return number(x) - number(y) })
	out := make([]tcm.Diagnosis, len(list))
	for i, j := range order {
		out[i] = list[j]
	}
	return out
}

// prescription makes the herbal prescription. Its words stay an element only if
// they say more than the herbs do.
func (a *absorbing) prescription() {
	f := a.facts
	p := a.rx
	p.No, p.Amount, p.Items = first(p.No, f.DocID), a.total, a.herbs
	p.Category = first(p.Category, tcm.Decoction)
	if formula, _, ok := strings.Cut(a.herbText, "："); ok && !strings.ContainsAny(formula, "，, 0123456789") {
		p.Formula = formula
	}
	if len(p.Items) == 0 && a.herbText == "" && p.Doses == "" {
		return
	}
	if p.Category == tcm.Patent {
		a.prescribe(tcm.Patent)
		return
	}
	f.Herbal = []tcm.HerbalPrescription{p}
	if a.herbText != "" && herbText(&p) == a.herbText {
		f.Elements = slices.DeleteFunc(f.Elements, func(e Element) bool {
			return e.Entry.Code.Code == "DE08.50.049.00" && len(e.Entry.Parts) == 0
		})
	}
}
