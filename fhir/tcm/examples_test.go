package tcm

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/validate"
)

var update = flag.Bool("update", false, "rewrite the examples of the guide")

const hall = "370000000001"

// sampleVisit is one visit of synthetic people in every resource the guide
// profiles: the profile each resource is an example of, by its key.
func sampleVisit() map[string][]Resource {
	v := Visit{OrgCode: hall, EncounterID: EncounterID(hall, "MZ20261012001"), PatientID: PatientID(hall, "100001"),
		DoctorID: PractitionerID(hall, "0101"), Time: "2026-10-12T08:31:05+08:00"}
	const visitNo = "MZ20261012001"
	diagnosis := Diagnosis{Visit: v, Rank: 1, Disease: Coding{SystemGB2021, "A01.01.01", "感冒"}, Syndrome: Coding{SystemGB2021, "B02.02.04.01.01.02", "风寒束表证"},
		Western: Coding{SystemICD10, "J00.x00", "急性鼻咽炎"}}
	conditions := diagnosis.Resources()
	finding := func(kind, text string, terms ...Term) Finding {
		return Finding{Visit: v, Kind: kind, Text: text, Terms: terms}
	}
	tongue := finding(Tongue, "舌淡红，苔薄白", Term{"舌色", "舌淡红"})
	pulse := finding(Pulse, "脉浮缓", Term{"", "浮脉"}, Term{"左寸(心)", "浮脉"})
	pulse.DeviceID = Device{OrgCode: hall, No: "MX-001"}.ID()
	rx := HerbalPrescription{Visit: v, VisitNo: visitNo, No: "CF20261012001", Category: Decoction, Formula: "桂枝汤", Origin: Coding{Base + "/CodeSystem/szjg-t-38-2-2011", "0600110024", "桂枝汤"},
		Doses: "3", Usage: "水煎服", Frequency: "每日一剂，分两次服", Route: Coding{"urn:oid:2.16.156.10011.2.3.1.158", "1", "口服"}, Amount: "21.26", Brewed: true,
		Reasons: []string{diagnosis.ID(Disease), diagnosis.ID(Syndrome)}, Items: []Ingredient{
			{Code: "5045", Name: "桂枝", Dose: "9", Unit: "g", Quantity: "27", Price: "0.245", Amount: "6.62", Role: "jun"},
			{Code: "5084", Name: "白芍", Dose: "9", Unit: "g", Quantity: "27", Price: "0.21", Amount: "5.67", Role: "chen"},
			{Code: "5075", Name: "生姜", Dose: "9", Unit: "g", Quantity: "27", Price: "0.04", Amount: "1.08", Role: "zuo", Note: "后下"},
			{Code: "5014", Name: "大枣", Dose: "9", Unit: "g", Quantity: "27", Price: "0.06", Amount: "1.62", Role: "zuo"},
			{Code: "5028", Name: "甘草", Dose: "6", Unit: "g", Quantity: "18", Price: "0.15", Amount: "2.70", Role: "shi", Processing: "蜜炙"}}}
	prescription := rx.Resources()
	drug := DrugRequest{Visit: v, VisitNo: visitNo, No: "CF20261012002", Category: Patent, Total: "18.50", Code: "9001", Name: "感冒清热颗粒", Quantity: "1", Unit: "盒", Price: "18.50", Amount: "18.50", Dosage: "一次1袋，一日2次"}
	treatment := Treatment{Visit: v, VisitNo: visitNo, Code: "4401", Name: "普通针刺", Acupoints: []Coding{{SystemAcupoint, "LI4", "合谷"}, {SystemAcupoint, "GB20", "风池"}}, Quantity: "1", Price: "20.00", Amount: "20.00"}
	charge := Charge{Visit: v, VisitNo: visitNo, No: "F0001", Name: "中药饮片", Category: "中药饮片费", Quantity: "1", Price: "21.26", Amount: "21.26"}
	coverage := Coverage{OrgCode: hall, PatientID: v.PatientID, Insurance: InsuranceOf("新农合")}
	constitution := Constitution{Visit: v, Type: Coding{SystemConstitution, "02", "气虚质"}, Score: "43.75", Judgement: Coding{SystemJudgement, "yes", "是"}}
	differentiation := Differentiation{Visit: v, Summary: "恶寒发热、无汗、脉浮，为风寒束表，营卫不和。", Mechanism: "风寒外袭，卫阳被遏，营卫不和",
		Principles: []Coding{{SystemTherapy, "4.1.4.1", "解肌发表"}, {SystemTherapy, "4.1.1", "调和营卫"}}, Findings: []string{tongue.ID(), pulse.ID()},
		Elements: []Element{{Cause, "外感风寒"}, {Nature, "寒"}, {Location, "表"}, {Tendency, "初起"}}, SyndromeIDs: []string{diagnosis.ID(Syndrome)}}
	record := Record{Visit: v, VisitNo: visitNo, VisitType: "first", OrgName: "示例镇卫生院中医馆", DoctorName: "王示例", ChiefComplaint: "恶寒发热1天", PresentIllness: "昨日受凉后恶寒发热，汗出恶风，鼻塞。",
		PastHistory: "体健", AllergyHistory: "否认药物过敏", PhysicalExam: "体温37.8℃", Advice: "避风寒，服药后啜热粥", Principles: differentiation.Principles,
		Entries: []string{"Observation/" + tongue.ID(), "Observation/" + pulse.ID(), "Condition/" + diagnosis.ID(Disease), "Condition/" + diagnosis.ID(Syndrome), "MedicationRequest/" + rx.ID(),
			"Procedure/" + treatment.ID(), "ChargeItem/" + charge.ID()}}
	invoice := Invoice{Visit: v, No: "0012345678", ChargeIDs: []string{charge.ID()}, Total: "59.76", Coverage: coverage.ID()}.Resources()
	return map[string][]Resource{
		"tcm-patient": Patient{OrgCode: hall, No: "100001", Name: "张示例", Gender: "male", BirthDate: "1956-03-12", Phone: "05300000000", Address: "示例镇示例村3号",
			Ethnicity: Coding{SystemEthnicity, "01", "汉族"}, Marital: Coding{SystemMarital, "20", "已婚"}}.Resources(),
		"tcm-encounter": Encounter{OrgCode: hall, OrgName: "示例镇卫生院中医馆", VisitNo: visitNo, Status: "finished", Start: v.Time, PatientID: v.PatientID, PatientName: "张示例", DoctorID: v.DoctorID,
			DoctorName: "王示例", VisitType: "first", Insurance: InsuranceOf("新农合"), Diagnoses: []string{diagnosis.ID(Disease)}}.Resources(),
		"tcm-outpatient-record": record.Resources(),
		"tcm-inspection":        finding(Inspection, "神清，面色少华").Resources(), "tcm-listening": finding(Listening, "语声如常，无咳嗽").Resources(),
		"tcm-inquiry": finding(Inquiry, "恶寒发热，汗出恶风，鼻塞").Resources(), "tcm-palpation": finding(Palpation, "腹软").Resources(),
		"tcm-tongue": tongue.Resources(), "tcm-pulse": pulse.Resources(),
		"tcm-device":          Device{OrgCode: hall, No: "MX-001", Kind: Coding{SystemDevice, "pulse", "脉象采集仪"}, Manufacturer: "示例厂", Model: "P1"}.Resources(),
		"tcm-differentiation": differentiation.Resources(), "tcm-disease": conditions[:1], "tcm-syndrome": conditions[1:2], "western-diagnosis": conditions[2:],
		"tcm-herbal-prescription": prescription[:1], "tcm-herbal-medication": prescription[1:], "tcm-drug-prescription": drug.Resources(),
		"tcm-dispense":  Dispense{Visit: v, RequestID: rx.ID(), Reviewed: PractitionerID(hall, "0201"), Compounded: PractitionerID(hall, "0202"), Checked: PractitionerID(hall, "0201"), HandedOver: PractitionerID(hall, "0203")}.Resources(),
		"tcm-treatment": treatment.Resources(), "tcm-constitution": constitution.Resources(),
		"tcm-preventive-plan": Plan{Visit: v, Title: "气虚质调养方案", Basis: []string{constitution.ID()}, Measures: []Measure{{"饮食", "益气健脾：山药、莲子、大枣"}, {"运动", "散步、太极、八段锦，忌大汗"}}}.Resources(),
		"tcm-charge":          charge.Resources(), "tcm-account": invoice[:1], "tcm-invoice": invoice[1:], "tcm-coverage": coverage.Resources(),
		"tcm-hall":              Organization{Code: hall, Name: "示例镇卫生院中医馆", Level: Township, Phone: "05300000001", Address: "示例镇中心街1号", InCity: "示例市", Area: "示例县", Above: "379901"}.Resources(),
		"tcm-authority":         Organization{Code: "379901", Name: "示例县卫生健康局", Level: County, Above: "379900"}.Resources(),
		"tcm-practitioner":      Practitioner{OrgCode: hall, No: "0101", Name: "王示例", Licence: "示例0001", Qualification: "中医执业医师", Renowned: "示例市名中医", School: "示例流派"}.Resources(),
		"tcm-practitioner-role": Role{OrgCode: hall, StaffNo: "0101", Title: "主治医师", Specialties: []string{"脾胃病", "针灸"}}.Resources(),
		"tcm-service":           Service{OrgCode: hall, Name: "针灸", Kind: "中医非药物疗法"}.Resources(),
	}
}

// TestExamples holds the examples of the guide against the builders (-update
// rewrites them), validates each against its profile, and proves that every
// profile has one.
func TestExamples(t *testing.T) {
	dir := filepath.Join("..", "..", "conformance", "examples")
	built := map[string]bool{}
	var enc model.Encoder
	for profile, resources := range sampleVisit() {
		for _, r := range resources {
			b, err := enc.Marshal(r.Model)
			if err != nil {
				t.Fatal(err)
			}
			name := r.Type + "-" + r.ID + ".json"
			built[name] = true
			want := indented(t, bytes.Replace(b, []byte(`"`+r.ID+`"`), []byte(`"`+r.ID+`","meta":{"profile":["`+Base+`/StructureDefinition/`+profile+`"]}`), 1))
			if *update {
				if err := os.WriteFile(filepath.Join(dir, name), want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what the builders make (%v); run with -update and review", name, err)
			}
		}
	}
	missing := map[string]bool{}
	for _, b := range conformance.Structures() {
		if sd := root(t, b); sd.Get("kind").Str() == "resource" {
			missing[sd.Get("url").Str()] = true
		}
	}
	v := guideValidator(t)
	examples := 0
	for _, file := range glob(t, dir) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := root(t, b)
		profile := n.Path("meta", "profile").At(0).Str()
		delete(missing, profile)
		examples++
		for _, is := range v.Validate(context.Background(), n, validate.Options{Level: validate.Full, Profiles: []string{profile}}) {
			if is.Severity == "error" || is.Severity == "fatal" {
				t.Errorf("%s: %s %s %s", filepath.Base(file), is.Expression, is.Key, is.Text)
			}
		}
	}
	for p := range missing {
		t.Errorf("no example of %s", p)
	}
	t.Logf("%d examples valid", examples)
}

// TestGuideIsFHIR validates every conformance resource of the guide against R4.
func TestGuideIsFHIR(t *testing.T) {
	v := guideValidator(t)
	n := 0
	for name, b := range conformance.Artefacts() {
		n++
		for _, is := range v.Validate(context.Background(), root(t, b), validate.Options{Level: validate.Full}) {
			if is.Severity == "error" || is.Severity == "fatal" {
				t.Errorf("%s: %s %s %s", name, is.Expression, is.Key, is.Text)
			}
		}
	}
	t.Logf("%d conformance resources valid", n)
}

func guideValidator(t testing.TB) *validate.Validator {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	var profiles [][]byte
	for _, b := range conformance.Structures() {
		profiles = append(profiles, b)
	}
	v := validate.New(m, fhirpath.NewEngine(m), guideTerms(t))
	if err := v.Include(profiles...); err != nil {
		t.Fatal(err)
	}
	return v
}

func root(t *testing.T, b []byte) fhir.Node {
	t.Helper()
	tree, err := fhir.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return tree.Root()
}

func glob(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples in %s: %v", dir, err)
	}
	return files
}

func indented(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(strings.TrimSpace(string(b))), "", " "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}
