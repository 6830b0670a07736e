package his

import (
	"strings"
	"time"
	"unicode"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// KindV2 is the kind of HL7 v2 messages, as the MLLP listener makes them.
const KindV2 = "hl7v2"

// v2 handles an HL7 v2 message of a HIS: ADT for patients, visits and
// diagnoses; RDE, OMP and ORM for prescriptions. Keys are those of the other
// dialects: MSH-4 or the assigner of PID-3 is the organisation, PV1-19 the visit.
type v2 struct {
	*writing
	msg   *hl7v2.Message
	at    string // for IfNewer
	time  string // of the message, FHIR
	visit tcm.Visit
	no    string // visit number
	known bool   // the visit has a document, which knows more
}

// visitStatus is what each ADT event makes of the visit; "" leaves it alone.
// Events that are not here are not understood.
var visitStatus = map[string]string{"A01": "in-progress", "A04": "in-progress", "A05": "planned", "A08": "in-progress", "A13": "in-progress",
	"A03": "finished", "A11": "cancelled", "A28": "", "A31": ""}

func (w *writing) hl7v2() error {
	msg, _, err := hl7v2.Decode(w.message.Body)
	if err != nil {
		return err
	}
	v := &v2{writing: w, msg: msg}
	code, event, _ := msg.Type()
	_, understood := visitStatus[event]
	orders := code == "RDE" || code == "OMP" || code == "ORM"
	if !orders && !(code == "ADT" && understood) {
		return fault.New(fault.Unsupported, "没有 %s^%s 的映射", code, event)
	}
	patient, err := v.header()
	if err != nil {
		return err
	}
	if err := v.patient(patient, code == "ADT"); err != nil {
		return err
	}
	if v.no != "" {
		if _, v.known, err = w.read("Composition", tcm.RecordID(v.visit.OrgCode, v.no)); err != nil {
			return err
		}
	}
	if orders {
		return v.orders()
	}
	if status := visitStatus[event]; status != "" && v.no != "" && !v.known {
		return v.encounter(status, patient)
	}
	return nil
}

// header reads the keys.
func (v *v2) header() (tcm.Patient, error) {
	sent, ok := ParseMoment(v.msg.Get("MSH-7"), v.sink.zone)
	if received := v.message.Received; !ok || sent.After(received) {
		sent = received
	}
	v.at, v.time = newer(sent, v.message.Received), sent.In(v.sink.zone).Format(time.RFC3339)
	p := tcm.Patient{OrgCode: v.msg.Get("MSH-4")}
	pid, _ := v.msg.Segment("PID", 0)
	for _, id := range pid.Field(3).Repetitions() {
		kind, authority := id.Component(5).Text(), id.Component(4)
		switch {
		case kind == "NI" || kind == "NNCHN" || authority.Subcomponent(2).Text() == strings.TrimPrefix(tcm.SystemNationalID, "urn:oid:"):
			p.NationalID = id.Text()
		case p.No == "":
			p.No = id.Text()
			if org := authority.Text(); org != "" {
				p.OrgCode = org
			}
		}
	}
	if p.No == "" {
		return p, missing("PID-3", "患者编号")
	}
	if p.OrgCode == "" {
		return p, missing("MSH-4", "机构编码")
	}
	v.no = visitNumber(v.msg)
	v.visit = tcm.Visit{OrgCode: p.OrgCode, PatientID: tcm.PatientID(p.OrgCode, p.No), Time: v.time}
	if v.no != "" {
		v.visit.EncounterID = tcm.EncounterID(p.OrgCode, v.no)
	}
	return p, v.details(&p, pid)
}

// visitNumber is PV1-19, else the alternate PV1-50; senders that count one bar
// too few put it into PV1-18, where codes are short.
func visitNumber(msg *hl7v2.Message) string {
	for _, path := range []string{"PV1-19", "PV1-50"} {
		if no := msg.Get(path); no != "" {
			return no
		}
	}
	if no := msg.Get("PV1-18"); len(no) >= 5 {
		return no
	}
	return ""
}

var v2Genders = map[string]string{"M": "male", "F": "female", "O": "other", "A": "other", "U": "unknown", "N": "unknown", "": ""}

func (v *v2) details(p *tcm.Patient, pid hl7v2.Segment) error {
	p.Name = v2Name(pid.Field(5).Component(1).Text(), pid.Field(5).Component(2).Text())
	var ok bool
	if p.Gender, ok = v2Genders[pid.Field(8).Text()]; !ok {
		return badValue("PID-8", "性别", "应为 M、F、O、U、A、N")
	}
	if birth := pid.Field(7).Text(); birth != "" {
		if p.BirthDate, ok = ParseDay(birth[:min(len(birth), 8)]); !ok {
			return badValue("PID-7", "出生日期", "例如 19560312")
		}
	}
	a := pid.Field(11)
	p.Address, p.Postcode = a.Component(4).Text()+a.Component(3).Text()+a.Component(1).Text(), a.Component(5).Text()
	p.Phone = pid.Field(13).Text()
	return nil
}

// v2Name joins a Chinese name without a blank, others given name first.
func v2Name(family, given string) string {
	for _, r := range family + given {
		if unicode.Is(unicode.Han, r) {
			return family + given
		}
	}
	return strings.TrimSpace(given + " " + family)
}

// patient writes the patient and the organisation; an order only makes them
// known, it does not change them.
func (v *v2) patient(p tcm.Patient, change bool) error {
	old, exists, err := v.read("Patient", v.visit.PatientID)
	if err != nil {
		return err
	}
	if exists && change {
		p = p.Merge(tcm.ReadPatient(old))
	}
	if !exists || change {
		if err := v.put(v.at, p.Resources()...); err != nil {
			return err
		}
	}
	return v.directory(v.at, tcm.Organization{Code: p.OrgCode}.Resources()[0], "")
}

// doctor writes an XCN as a Practitioner and returns its id.
func (v *v2) doctor(xcn hl7v2.Value) (id, name string, err error) {
	no := xcn.Component(1).Text()
	name = v2Name(xcn.Component(2).Text(), xcn.Component(3).Text())
	if no == "" {
		return "", name, nil
	}
	return tcm.PractitionerID(v.visit.OrgCode, no), name,
		v.directory(v.at, tcm.Practitioner{OrgCode: v.visit.OrgCode, No: no, Name: name}.Resources()[0], name)
}

var v2Classes = map[string]string{"E": "EMER", "I": "IMP"}

func (v *v2) encounter(status string, p tcm.Patient) error {
	pv1, _ := v.msg.Segment("PV1", 0)
	doctor, name, err := v.doctor(pv1.Field(7))
	if err != nil {
		return err
	}
	v.visit.DoctorID = doctor
	e := tcm.Encounter{OrgCode: p.OrgCode, VisitNo: v.no, Status: status, Class: v2Classes[pv1.Field(2).Text()], Start: v.time,
		PatientID: v.visit.PatientID, PatientName: p.Name, DoctorID: doctor, DoctorName: name}
	for _, f := range []int{43, 44} { // 43 by the same mistake
		if admitted, ok := ParseMoment(pv1.Field(f).Text(), v.sink.zone); ok {
			e.Start = admitted.In(v.sink.zone).Format(time.RFC3339)
		}
	}
	for _, d := range v.diagnoses() {
		rs := d.Resources()
		if err := v.put(v.at, rs...); err != nil {
			return err
		}
		for _, r := range rs {
			e.Diagnoses = append(e.Diagnoses, r.ID)
		}
	}
	return v.put(v.at, e.Resources()...)
}

// diagnoses joins the n-th disease, syndrome and western diagnosis, as a doctor
// lists them.
func (v *v2) diagnoses() []tcm.Diagnosis {
	var kinds [3][]tcm.Coding
	for _, dg := range v.msg.All("DG1") {
		c := tcm.Coding{Code: dg.Field(3).Component(1).Text(), Display: dg.Field(3).Component(2).Text()}
		if c.Code == "" && c.Display == "" {
			continue
		}
		kind := v2Kind(c.Code, dg.Field(3).Component(3).Text())
		var ok bool
		if c.System, ok = tcm.CodingSystem(c.Code, kind == 2); !ok && c.Code != "" {
			c.System = tcm.SystemOf("diagnosis", v.visit.OrgCode)
		}
		kinds[kind] = append(kinds[kind], c)
	}
	at := func(list []tcm.Coding, i int) tcm.Coding {
		if i < len(list) {
			return list[i]
		}
		return tcm.Coding{}
	}
	var out []tcm.Diagnosis
	for i := range max(len(kinds[0]), len(kinds[1]), len(kinds[2])) {
		out = append(out, tcm.Diagnosis{Visit: v.visit, Rank: i + 1, Disease: at(kinds[0], i), Syndrome: at(kinds[1], i), Western: at(kinds[2], i)})
	}
	return out
}

// v2Kind tells 0 disease, 1 syndrome, 2 western by the system's name and the
// code's first letter: 2021 A and B, 1995 B and Z.
func v2Kind(code, system string) int {
	if !strings.Contains(strings.ToUpper(system), "15657") && !strings.Contains(strings.ToUpper(system), "TCD") {
		return 2
	}
	edition, _ := tcm.CodingSystem(code, false)
	if edition == tcm.SystemGB2021 && code[0] == 'B' || edition == tcm.SystemGB1995 && code[0] == 'Z' {
		return 1
	}
	return 0
}

// order is one prescription: the drugs under one number.
type order struct {
	no        string
	orc       hl7v2.Segment
	drugs     []hl7v2.Segment // RXE, or RXO when there is no RXE
	cancelled bool
}

func (v *v2) orders() error {
	list, err := v.group()
	if err != nil || v.known {
		return err // a document of the visit holds its prescriptions
	}
	for _, o := range list {
		doctor, _, err := v.doctor(o.orc.Field(12))
		if err != nil {
			return err
		}
		at := v.visit
		at.DoctorID = doctor
		for _, f := range []int{9, 15} {
			if t, ok := ParseMoment(o.orc.Field(f).Text(), v.sink.zone); ok {
				at.Time = t.In(v.sink.zone).Format(time.RFC3339)
				break
			}
		}
		if err := v.put(v.at, o.resources(at, v.no)...); err != nil {
			return err
		}
	}
	return nil
}

// group collects drugs by ORC-4 (placer group), else ORC-2.
func (v *v2) group() ([]*order, error) {
	var list []*order
	var cur *order
	for _, s := range v.msg.Segments {
		switch s.Name {
		case "ORC":
			no := s.Field(4).Text()
			if no == "" {
				no = s.Field(2).Text()
			}
			if no == "" {
				return nil, missing("ORC-2", "处方号")
			}
			cur = nil
			for _, o := range list {
				if o.no == no {
					cur = o
				}
			}
			if cur == nil {
				control := s.Field(1).Text()
				cur = &order{no: no, orc: s, cancelled: control == "CA" || control == "OC" || control == "DC"}
				list = append(list, cur)
			}
		case "RXE", "RXO":
			if cur == nil {
				return nil, missing("ORC", "医嘱")
			}
			if n := len(cur.drugs); s.Name == "RXE" && n > 0 && cur.drugs[n-1].Name == "RXO" {
				cur.drugs[n-1] = s // the encoded order replaces the request
			} else {
				cur.drugs = append(cur.drugs, s)
			}
		}
	}
	if len(list) == 0 {
		return nil, missing("ORC", "医嘱")
	}
	return list, nil
}

// v2Drug is one RXE or RXO.
type v2Drug struct{ code, name, dose, unit, form, note, quantity, usage string }

func readDrug(s hl7v2.Segment) v2Drug {
	fields := [...]int{2, 3, 5, 6, 7, 10} // RXE: give code, amount, units, form, instructions, dispense amount
	if s.Name == "RXO" {
		fields = [...]int{1, 2, 4, 5, 6, 11}
	}
	d := v2Drug{code: s.Field(fields[0]).Component(1).Text(), name: s.Field(fields[0]).Component(2).Text(),
		unit: s.Field(fields[2]).Text(), form: s.Field(fields[3]).Text(), note: s.Field(fields[4]).Text()}
	if form := s.Field(fields[3]).Component(2).Text(); form != "" {
		d.form = form
	}
	d.dose, _ = ParseDecimal(s.Field(fields[1]).Text())
	d.quantity, _ = ParseDecimal(s.Field(fields[5]).Text())
	if s.Name == "RXE" {
		d.usage = s.Field(1).Component(8).Text()
	}
	if d.name == "" {
		d.name = d.code
	}
	return d
}

// resources makes one herbal prescription, or one request per drug: the dosage
// form tells.
func (o *order) resources(at tcm.Visit, visitNo string) []tcm.Resource {
	herbal := tcm.HerbalPrescription{Visit: at, VisitNo: visitNo, No: o.no, Category: tcm.Decoction, Cancelled: o.cancelled}
	var out []tcm.Resource
	seen := map[string]int{}
	for _, s := range o.drugs {
		d := readDrug(s)
		category := tcm.ChargeCategory(d.form).Code
		switch category {
		case tcm.Granule, tcm.Decoction:
			herbal.Category = category
			herbal.Usage = d.usage
			herbal.Items = append(herbal.Items, ingredient(Herb{Code: d.code, Name: d.name, Dose: Decimal(d.dose), Unit: d.unit,
				Quantity: Decimal(d.quantity), Note: d.note}, ""))
			continue
		case tcm.Patent:
		default:
			category = tcm.WesternRx
		}
		key := d.code
		if key == "" {
			key = d.name
		}
		out = append(out, tcm.DrugRequest{Visit: at, VisitNo: visitNo, No: o.no, Category: category, Repeat: seen[key], Cancelled: o.cancelled,
			Code: d.code, Name: d.name, Quantity: d.quantity, Unit: d.unit, Dosage: strings.TrimSpace(d.usage + " " + d.note)}.Resources()...)
		seen[key]++
	}
	if len(herbal.Items) > 0 {
		herbal.Doses = doses(herbal.Items)
		out = append(out, herbal.Resources()...)
	}
	return out
}

// doses is 剂数 when every herb's total is the same multiple of its dose.
func doses(items []tcm.Ingredient) string {
	var all decimal.Decimal
	for i, it := range items {
		dose, quantity := parse(Decimal(it.Dose)), parse(Decimal(it.Quantity))
		if !dose.IsPositive() || !quantity.IsPositive() {
			return ""
		}
		n := quantity.DivRound(dose, 6)
		if !n.IsInteger() || i > 0 && !n.Equal(all) {
			return ""
		}
		all = n
	}
	return all.String()
}

var _ pipeline.Sink = (*Sink)(nil)
