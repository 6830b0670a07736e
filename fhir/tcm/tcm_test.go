package tcm

import (
	"encoding/json"
	"reflect"
	"regexp"
	"testing"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/model"
)

var visit = Visit{OrgCode: "370000000001", EncounterID: EncounterID("370000000001", "443001"),
	PatientID: PatientID("370000000001", "100001"), DoctorID: PractitionerID("370000000001", "0101"), Time: "2026-10-12T08:31:05+08:00"}

// build encodes resources and parses them back; each must also be valid for the
// model library's own decoder.
func build(t testing.TB, rs []Resource) []fhir.Node {
	t.Helper()
	var enc model.Encoder
	out := make([]fhir.Node, len(rs))
	for i, r := range rs {
		b, err := enc.Marshal(r.Model)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := fhir.Parse(b)
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		out[i] = tree.Root()
		if out[i].ResourceType() != r.Type || out[i].Get("id").Str() != r.ID {
			t.Errorf("%s/%s encodes as %s/%s", r.Type, r.ID, out[i].ResourceType(), out[i].Get("id").Str())
		}
		back := reflect.New(reflect.TypeOf(r.Model))
		if err := json.Unmarshal(b, back.Interface()); err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
	return out
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("came back\n%+v\nwant\n%+v", got, want)
	}
}

func TestRoundTripPeople(t *testing.T) {
	o := Organization{Code: "370000000001", Name: "示例镇卫生院"}
	equal(t, ReadOrganization(build(t, o.Resources())[0]), o)
	d := Practitioner{OrgCode: "370000000001", No: "0101", Name: "王示例"}
	equal(t, ReadPractitioner(build(t, d.Resources())[0]), d)
	p := Patient{OrgCode: "370000000001", No: "100001", Name: "张三", Gender: "male", BirthDate: "1956-03-12",
		NationalID: "379901195603120010", Phone: "05300000000", Address: "A&B<3号", Postcode: "274000",
		Marital: Coding{SystemMarital, "20", "已婚"}, Ethnicity: Coding{SystemEthnicity, "01", "汉族"},
		Contact: Contact{"李四", "1", "村2号"}}
	equal(t, ReadPatient(build(t, p.Resources())[0]), p)
	bare := Patient{OrgCode: "1", No: "2"}
	equal(t, ReadPatient(build(t, bare.Resources())[0]), bare)
	c := Coverage{PatientID: visit.PatientID, Insurance: InsuranceOf("新农合")}
	equal(t, ReadCoverage(build(t, c.Resources())[0]), c)
	if rs := (Coverage{PatientID: "x", Insurance: InsuranceOf("自费")}).Resources(); rs != nil {
		t.Error("self-payers have no coverage")
	}
}

func TestRoundTripVisit(t *testing.T) {
	e := Encounter{OrgCode: "370000000001", OrgName: "示例", VisitNo: "443001", Status: "finished", Class: "IMP", Start: visit.Time,
		PatientID: visit.PatientID, PatientName: "张三", DoctorID: visit.DoctorID, DoctorName: "王示例", VisitType: "return",
		Insurance: InsuranceOf("380"), Diagnoses: []string{"cond-a", "cond-b"}}
	equal(t, ReadEncounter(build(t, e.Resources())[0]), e)
	f := Finding{Visit: visit, Kind: Tongue, Text: "舌淡红，苔薄白"}
	got := ReadFinding(build(t, f.Resources())[0])
	got.OrgCode = visit.OrgCode
	equal(t, got, f)
	r := Record{Visit: visit, VisitNo: "443001", OrgName: "示例", DoctorName: "王示例", ChiefComplaint: "恶寒<发热>&\n1天",
		PresentIllness: "a", PastHistory: "b", AllergyHistory: "c", PersonalHistory: "d", FamilyHistory: "e", PhysicalExam: "f",
		Advice: "g", Entries: []string{"Observation/1", "Condition/2", "MedicationRequest/3", "Procedure/4", "ChargeItem/5"}}
	equal(t, ReadRecord(build(t, r.Resources())[0]), r)
}

func TestRoundTripDiagnosis(t *testing.T) {
	d := Diagnosis{Visit: visit, Rank: 1, Disease: Coding{SystemGB2021, "A01.01.01", "感冒"},
		Syndrome: Coding{SystemGB2021, "B02.02.04.01.01.02", "风寒束表证"}, Western: Coding{SystemICD10, "J00.x00", "急性上呼吸道感染"}}
	nodes := build(t, d.Resources())
	if len(nodes) != 3 {
		t.Fatalf("%d conditions", len(nodes))
	}
	v := visit
	v.OrgCode = ""
	equal(t, ReadCondition(nodes[0]), Condition{Visit: v, ID: d.ID(Disease), Kind: Disease, Coding: d.Disease})
	equal(t, ReadCondition(nodes[1]), Condition{v, d.ID(Syndrome), Syndrome, d.Syndrome, d.ID(Disease)})
	equal(t, ReadCondition(nodes[2]), Condition{v, d.ID(Western), Western, d.Western, d.ID(Disease)})
}

func TestRoundTripPrescriptions(t *testing.T) {
	p := HerbalPrescription{Visit: visit, No: "C880001", Category: Decoction, Formula: "桂枝汤", Doses: "3",
		Usage: "水煎400ml", Frequency: "bid", Route: Coding{"urn:oid:2.16.156.10011.2.3.1.158", "1", "口服"}, Form: Coding{"urn:oid:2.16.156.10011.2.3.1.211", "43", "饮片"}, Amount: "21.26", Cancelled: true, Items: []Ingredient{
			{Code: "5045", Name: "桂枝", Dose: "9", Unit: "g", Quantity: "27", Price: "0.245", Amount: "6.62"},
			{Code: "5075", Name: "生姜", Dose: "9", Unit: "g", Note: "后下，擘", Specification: "1g"}, {Name: "大枣", Unit: ""}}}
	nodes := build(t, p.Resources())
	equal(t, ReadHerbalPrescription(nodes[0], nodes[1]), p)
	if nodes[0].Get("id").Str() != nodes[1].Get("id").Str() {
		t.Error("request and medication share their id")
	}
	if nodes[0].Get("medicationCodeableConcept").Exists() || nodes[1].Get("ingredient").First().Get("itemReference").Exists() {
		t.Error("an empty choice was written")
	}
	if m := extension(nodes[1].Get("ingredient").At(1), ExtDecoctionMethod).Path("valueCoding", "code").Str(); m != "2" {
		t.Errorf("后下 is coded %q", m)
	}
	d := DrugRequest{Visit: visit, No: "W1", Category: Patent, Total: "18.5", Code: "9001", Name: "感冒清热颗粒", Quantity: "1",
		Unit: "盒", Price: "18.5", Amount: "18.5", Dosage: "口服", Specification: "12g*10", Dose: "12", DoseUnit: "g", Frequency: "bid",
		Route: Coding{"urn:oid:2.16.156.10011.2.3.1.158", "1", "口服"}, Form: Coding{"urn:oid:2.16.156.10011.2.3.1.211", "12", "颗粒剂"}}
	equal(t, ReadDrugRequest(build(t, d.Resources())[0]), d)
	x := Drug{OrgCode: "370000000001", Code: "5084", Name: "白芍", Specification: "1g", Inactive: true}
	equal(t, ReadDrug(build(t, x.Resources())[0]), x)
}

func TestRoundTripMoney(t *testing.T) {
	c := Charge{Visit: visit, No: "F1", Name: "中药饮片", Category: "中药饮片费", Quantity: "1", Price: "21.26", Amount: "21.26"}
	c.DoctorID = ""
	equal(t, ReadCharge(build(t, c.Resources())[0]), c)
	p := Treatment{Visit: visit, Code: "4401", Name: "普通针刺", Quantity: "1", Price: "20", Amount: "20"}
	got := ReadTreatment(build(t, p.Resources())[0])
	got.OrgCode = visit.OrgCode
	equal(t, got, p)
	pr := Provenance{Visit: visit, MessageID: "01ARYZ6S41", Source: "his"}
	pr.DoctorID = ""
	equal(t, ReadProvenance(build(t, pr.Resources())[0]), pr)
}

func TestRoundTripCare(t *testing.T) {
	v := visit
	v.OrgCode = ""
	d := Differentiation{Visit: v, Summary: "风寒束表", Mechanism: "卫阳被遏", Principles: []Coding{{SystemTherapy, "4.1.4.1", "解肌发表"}}, Findings: []string{"obs-1", "obs-2"},
		Elements: []Element{{Cause, "外感风寒"}, {Location, "表"}}, SyndromeIDs: []string{"cond-1"}}
	equal(t, ReadDifferentiation(build(t, d.Resources())[0]), d)
	f := Finding{Visit: v, Kind: Pulse, Text: "脉浮", Terms: []Term{{"", "浮脉"}, {"左寸(心)", "浮脉"}}, DeviceID: "dev-1"}
	equal(t, ReadFinding(build(t, f.Resources())[0]), f)
	p := HerbalPrescription{Visit: visit, No: "1", Category: Paste, Formula: "桂枝汤", Origin: Coding{Base + "/CodeSystem/szjg-t-38-2-2011", "0600110024", "桂枝汤"}, Route: Coding{"urn:x", "1", "口服"},
		Reasons: []string{"cond-1"}, Brewed: true, Items: []Ingredient{{Name: "甘草", Dose: "6", Unit: "g", Processing: "蜜炙", Role: "shi"}}}
	nodes := build(t, p.Resources())
	equal(t, ReadHerbalPrescription(nodes[0], nodes[1]), p)
	x := Dispense{Visit: v, RequestID: "rx-1", Reviewed: "prac-1", HandedOver: "prac-2"}
	x.DoctorID = ""
	equal(t, ReadDispense(build(t, x.Resources())[0]), x)
	c := Constitution{Visit: v, Type: Coding{SystemConstitution, "02", "气虚质"}, Score: "43.75", Judgement: Coding{SystemJudgement, "yes", "是"}, ResponseID: "qr-1"}
	equal(t, ReadConstitution(build(t, c.Resources())[0]), c)
	plan := Plan{Visit: v, Title: "调养", Basis: []string{"con-1"}, Measures: []Measure{{"饮食", "山药"}}}
	equal(t, ReadPlan(build(t, plan.Resources())[0]), plan)
	n := Treatment{Visit: v, Name: "普通针刺", Acupoints: []Coding{{SystemAcupoint, "LI4", "合谷"}}}
	equal(t, ReadTreatment(build(t, n.Resources())[0]), n)
	r := Record{Visit: visit, VisitNo: "1", VisitType: "return", Principles: d.Principles}
	equal(t, ReadRecord(build(t, r.Resources())[0]), r)
	i := Invoice{Visit: visit, No: "1", ChargeIDs: []string{"chg-1", "chg-2"}, Total: "10.50", Coverage: "cov-1"}
	i.EncounterID, i.DoctorID = "", ""
	nodes = build(t, i.Resources())
	equal(t, ReadInvoice(nodes[0], nodes[1]), i)
}

func TestRoundTripDirectory(t *testing.T) {
	o := Organization{Code: "1", Name: "馆", Level: Hall, Phone: "0530", Address: "镇", InCity: "菏泽市", Area: "牡丹区", Above: "379901"}
	equal(t, ReadOrganization(build(t, o.Resources())[0]), o)
	p := Practitioner{OrgCode: "1", No: "2", Name: "王", Licence: "L1", Qualification: "中医执业医师", Renowned: "省名中医", School: "齐鲁"}
	equal(t, ReadPractitioner(build(t, p.Resources())[0]), p)
	r := Role{OrgCode: "1", StaffNo: "2", Title: "主治医师", Specialties: []string{"针灸", "脾胃病"}}
	equal(t, ReadRole(build(t, r.Resources())[0]), r)
	s := Service{OrgCode: "1", Name: "针灸", Kind: "非药物疗法", Comment: "上午"}
	equal(t, ReadService(build(t, s.Resources())[0]), s)
	d := Device{OrgCode: "1", No: "M1", Kind: Coding{SystemDevice, "pulse", "脉象采集仪"}, Manufacturer: "厂", Model: "P1"}
	equal(t, ReadDevice(build(t, d.Resources())[0]), d)
}

func TestIDs(t *testing.T) {
	a, b := ID("x", "ab", "c"), ID("x", "a", "bc")
	if a == b {
		t.Error("parts run together")
	}
	if !regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`).MatchString(a) {
		t.Errorf("%q is no FHIR id", a)
	}
	if again := EncounterID("1", "2"); EncounterID("1", "2") != again || EncounterID("2", "2") == again {
		t.Error("ids derive from the key")
	}
}

func TestCodingSystem(t *testing.T) {
	for _, c := range []struct {
		code    string
		western bool
		want    string
	}{
		{"A01.01.01", false, SystemGB2021}, {"B02.02.04.01.01.02", false, SystemGB2021}, {"A17", false, SystemGB2021}, {"B02.02.05.08.06.03.01", false, SystemGB2021},
		{"BNF012", false, SystemGB1995}, {"ZBRDC00", false, SystemGB1995},
		{"J06.903", true, SystemICD10}, {"J00.x00", true, SystemICD10}, {"I10", true, SystemICD10}, {"A01.01", true, SystemICD10},
	} {
		if got, ok := CodingSystem(c.code, c.western); !ok || got != c.want {
			t.Errorf("%s: %s %v", c.code, got, ok)
		}
	}
	for _, c := range []string{"XX99", "感冒", "A1", "A01..01", "B-1", ""} {
		if got, ok := CodingSystem(c, false); ok {
			t.Errorf("%q taken as %s", c, got)
		}
	}
	for _, c := range []string{"BNF012", "06.903", "J06.", "J6"} {
		if _, ok := CodingSystem(c, true); ok {
			t.Errorf("%q taken as ICD-10", c)
		}
	}
}

func TestChargeCategory(t *testing.T) {
	for in, want := range map[string]string{"中药饮片": Decoction, "中草药费": Decoction, "中药配方颗粒": Granule, "中成药": Patent,
		"西药费": WesternRx, "诊查费": "consultation", "针灸治疗": "treatment", "押金": "other", "": "other"} {
		if got := ChargeCategory(in).Code; got != want {
			t.Errorf("%s = %s, want %s", in, got, want)
		}
	}
}

func TestMergeKeepsWhatOnlyTheOldKnows(t *testing.T) {
	old := Patient{Name: "张三", Phone: "1", Gender: "male", Marital: Coding{Code: "20"}}
	got := Patient{Name: "张叁", Gender: "unknown"}.Merge(old)
	equal(t, got, Patient{Name: "张叁", Phone: "1", Gender: "male", Marital: Coding{Code: "20"}})
}

func TestStatusesAreTheModels(t *testing.T) {
	for k, v := range encounterStatus {
		if v.Code() != k {
			t.Errorf("%s encodes as %s", k, v.Code())
		}
	}
	for k, v := range genders {
		if r4.AdministrativeGender(v).Code() != k {
			t.Errorf("%s encodes as %s", k, v.Code())
		}
	}
}
