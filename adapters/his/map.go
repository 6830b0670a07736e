package his

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// mapped turns one document into resources. What several visits share (patient,
// doctor, organisation, coverage) is kept apart from what the visit owns.
type mapped struct {
	doc   *Document
	zone  *time.Location
	visit tcm.Visit

	shared, own []tcm.Resource
	encounter   tcm.Encounter
	record      tcm.Record
}

func mapDocument(doc *Document, zone *time.Location) *mapped {
	m := &mapped{doc: doc, zone: zone, visit: tcm.Visit{OrgCode: doc.OrgCode,
		EncounterID: tcm.EncounterID(doc.OrgCode, doc.VisitNo), PatientID: tcm.PatientID(doc.OrgCode, doc.Patient.ID)}}
	m.visit.Time = m.time(doc.VisitTime)
	if doc.Doctor.ID != "" {
		m.visit.DoctorID = tcm.PractitionerID(doc.OrgCode, doc.Doctor.ID)
	}
	m.people()
	m.encounterAndRecord()
	m.diagnoses()
	m.findings()
	m.herbal()
	m.drugs()
	m.treatments()
	m.charges()
	// The Encounter lists its diagnoses and the Composition everything else.
	m.own = append(m.own, m.encounter.Resources()...)
	m.own = append(m.own, m.record.Resources()...)
	return m
}

// time writes a moment as a FHIR dateTime in the hub's zone.
func (m *mapped) time(t Moment) string {
	if t.IsZero() {
		t = m.doc.VisitTime
	}
	return t.In(m.zone).Format("2006-01-02T15:04:05.999Z07:00")
}

func (m *mapped) at(t Moment) tcm.Visit {
	v := m.visit
	v.Time = m.time(t)
	return v
}

// add puts resources among those the visit owns and names the first in the
// record's contents.
func (m *mapped) add(rs []tcm.Resource) {
	if len(rs) > 0 {
		m.record.Entries = append(m.record.Entries, rs[0].Type+"/"+rs[0].ID)
		m.own = append(m.own, rs...)
	}
}

func (m *mapped) people() {
	d := m.doc
	m.shared = append(m.shared, tcm.Organization{Code: d.OrgCode, Name: d.OrgName}.Resources()...)
	if d.Doctor.ID != "" {
		m.shared = append(m.shared, tcm.Practitioner{OrgCode: d.OrgCode, No: d.Doctor.ID, Name: d.Doctor.Name}.Resources()...)
	}
	m.shared = append(m.shared, m.patient().Resources()...)
	m.shared = append(m.shared, m.coverage().Resources()...)
}

func (m *mapped) patient() tcm.Patient {
	p := m.doc.Patient
	return tcm.Patient{OrgCode: m.doc.OrgCode, No: p.ID, Name: p.Name, Gender: string(p.Gender), BirthDate: string(p.BirthDate),
		NationalID: p.IDNo, Phone: p.Phone, Address: p.Address}
}

func (m *mapped) coverage() tcm.Coverage {
	return tcm.Coverage{OrgCode: m.doc.OrgCode, PatientID: m.visit.PatientID, Insurance: m.insurance()}
}

func (m *mapped) insurance() tcm.Insurance {
	if m.doc.Patient.InsuranceType == "" {
		return tcm.Insurance{}
	}
	return tcm.InsuranceOf(m.doc.Patient.InsuranceType)
}

func (m *mapped) encounterAndRecord() {
	d := m.doc
	m.encounter = tcm.Encounter{OrgCode: d.OrgCode, OrgName: d.OrgName, VisitNo: d.VisitNo, Status: "finished", Start: m.visit.Time, End: m.end(),
		PatientID: m.visit.PatientID, PatientName: d.Patient.Name, DoctorID: m.visit.DoctorID, DoctorName: d.Doctor.Name,
		VisitType: string(d.VisitType), Insurance: m.insurance()}
	r := d.Record
	m.record = tcm.Record{Visit: m.visit, VisitNo: d.VisitNo, VisitType: string(d.VisitType), OrgName: d.OrgName, DoctorName: d.Doctor.Name,
		ChiefComplaint: r.ChiefComplaint, PresentIllness: r.PresentIllness, PastHistory: r.PastHistory,
		AllergyHistory: r.AllergyHistory, PersonalHistory: r.PersonalHistory, FamilyHistory: r.FamilyHistory,
		PhysicalExam: r.PhysicalExam, Advice: r.Advice}
}

// end is when the visit was over, as far as the document tells: the last of its
// times on the day of the visit. A Period without an end would reach into the
// future, and every search by date would find the visit.
func (m *mapped) end() string {
	const day = "2006-01-02"
	last := m.doc.VisitTime
	for t := range m.doc.times() {
		if t.After(last.Time) && t.In(m.zone).Format(day) == last.In(m.zone).Format(day) {
			last = t
		}
	}
	return m.time(last)
}

func (m *mapped) diagnoses() {
	rank := 0
	for _, d := range m.doc.Diagnoses {
		rank++
		dg := tcm.Diagnosis{Visit: m.visit, Rank: rank,
			Disease: m.coding(d.DiseaseCode, d.DiseaseName, false), Syndrome: m.coding(d.SyndromeCode, d.SyndromeName, false),
			Western: m.coding(d.ICD10, d.Name, true)}
		for _, r := range dg.Resources() {
			m.add([]tcm.Resource{r})
			m.encounter.Diagnoses = append(m.encounter.Diagnoses, r.ID)
		}
	}
}

// coding puts a code under its national system, else under the organisation's.
func (m *mapped) coding(code, name string, western bool) tcm.Coding {
	c := tcm.Coding{Code: code, Display: name}
	if code != "" {
		var ok bool
		if c.System, ok = tcm.CodingSystem(code, western); !ok {
			c.System = tcm.SystemOf("diagnosis", m.doc.OrgCode)
		}
	}
	return c
}

func (m *mapped) findings() {
	f := m.doc.Four
	for _, x := range []struct{ kind, text string }{{tcm.Inspection, f.Inspection}, {tcm.Listening, f.Listening},
		{tcm.Inquiry, f.Inquiry}, {tcm.Palpation, f.Palpation}, {tcm.Tongue, f.Tongue}, {tcm.Pulse, f.Pulse}} {
		m.add(tcm.Finding{Visit: m.visit, Kind: x.kind, Text: x.text}.Resources())
	}
}

func (m *mapped) herbal() {
	for _, p := range m.doc.Herbal {
		out := tcm.HerbalPrescription{Visit: m.at(p.Time), VisitNo: m.doc.VisitNo, No: p.No, Category: herbalKind(p),
			Formula: p.Formula, Doses: string(p.Doses), Usage: p.Usage, Frequency: p.Frequency, Amount: string(p.Amount)}
		var total sum
		for _, h := range p.Items {
			out.Items = append(out.Items, ingredient(h, p.Doses))
			total.add(h.Amount)
		}
		if out.Amount == "" {
			out.Amount = total.String()
		}
		m.add(out.Resources())
	}
}

// herbalKind takes the sender's word, else looks for 颗粒 in names and usage.
func herbalKind(p HerbalPrescription) string {
	if p.Type != "" {
		return string(p.Type)
	}
	if strings.Contains(p.Usage, "颗粒") || strings.Contains(p.Formula, "颗粒") {
		return tcm.Granule
	}
	for _, h := range p.Items {
		if strings.Contains(h.Name, "颗粒") {
			return tcm.Granule
		}
	}
	return tcm.Decoction
}

func ingredient(h Herb, doses Decimal) tcm.Ingredient {
	it := tcm.Ingredient{Code: h.Code, Name: h.Name, Dose: string(h.Dose), Unit: h.Unit, Quantity: string(h.Quantity),
		Price: string(h.Price), Amount: string(h.Amount), Note: h.Note}
	if it.Name == "" {
		it.Name = h.Code
	}
	if it.Dose == "" && h.Quantity != "" && doses != "" {
		it.Dose = parse(h.Quantity).DivRound(parse(doses), 4).String()
	}
	switch strings.ToLower(it.Unit) {
	case "", "g", "克":
		it.Unit = "g"
	case "mg", "毫克":
		it.Dose, it.Quantity, it.Unit = grams(it.Dose, -3), grams(it.Quantity, -3), "g"
	case "kg", "千克", "公斤":
		it.Dose, it.Quantity, it.Unit = grams(it.Dose, 3), grams(it.Quantity, 3), "g"
	}
	return it
}

// grams moves a value in another unit of mass by its power of ten.
func grams(value string, shift int32) string {
	if value == "" {
		return ""
	}
	return parse(Decimal(value)).Shift(shift).String()
}

func (m *mapped) drugs() {
	for _, p := range m.doc.WesternRx {
		var total sum
		for _, x := range p.Items {
			total.add(x.Amount)
		}
		base := tcm.DrugRequest{Visit: m.at(p.Time), VisitNo: m.doc.VisitNo, No: p.No, Category: drugKind(p), Total: string(p.Amount)}
		if base.Total == "" {
			base.Total = total.String()
		}
		seen := map[string]int{}
		for _, x := range p.Items {
			r, key := base, x.Code
			if key == "" {
				key = x.Name
			}
			r.Repeat = seen[key]
			seen[key]++
			r.Code, r.Name, r.Quantity, r.Unit = x.Code, x.Name, string(x.Quantity), x.Unit
			r.Price, r.Amount, r.Dosage = string(x.Price), string(x.Amount), x.Usage
			m.add(r.Resources())
		}
	}
}

func drugKind(p WesternPrescription) string {
	if p.Type == "patent" {
		return tcm.Patent
	}
	return tcm.WesternRx
}

func (m *mapped) treatments() {
	seen := map[string]int{}
	for _, t := range m.doc.Treatments {
		key := t.Code
		if key == "" {
			key = t.Name
		}
		m.add(tcm.Treatment{Visit: m.visit, VisitNo: m.doc.VisitNo, Repeat: seen[key], Code: t.Code, Name: t.Name,
			Quantity: string(t.Quantity), Price: string(t.Price), Amount: string(t.Amount)}.Resources())
		seen[key]++
	}
}

func (m *mapped) charges() {
	seen := map[string]int{}
	for _, c := range m.doc.Charges {
		amount := string(c.Amount)
		if amount == "" && c.Quantity != "" && c.Price != "" {
			amount = parse(c.Quantity).Mul(parse(c.Price)).Round(2).String()
		}
		m.add(tcm.Charge{Visit: m.at(c.Time), VisitNo: m.doc.VisitNo, No: c.No, Repeat: seen[c.No], Name: c.Name,
			Category: c.Category, Quantity: string(c.Quantity), Price: string(c.Price), Amount: amount}.Resources())
		seen[c.No]++
	}
}

// sum adds exact decimals; empty ones do not count.
type sum struct {
	total decimal.Decimal
	any   bool
}

func (s *sum) add(d Decimal) {
	if d != "" {
		s.total, s.any = s.total.Add(parse(d)), true
	}
}

func (s *sum) String() string {
	if !s.any {
		return ""
	}
	return s.total.String()
}

// parse reads a Decimal, which the decoder has checked.
func parse(d Decimal) decimal.Decimal {
	v, _ := decimal.NewFromString(string(d))
	return v
}
