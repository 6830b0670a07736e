package his

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/configs/maps"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

func v2Sample(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/hl7v2", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	mapsOnce sync.Once
	shipped  *mapping.Book
)

// book are the shipped maps, compiled once.
func book(t testing.TB) *mapping.Book {
	t.Helper()
	mapsOnce.Do(func() {
		r4, err := definitions.Load()
		if err != nil {
			t.Fatal(err)
		}
		c := mapping.NewCompiler(r4, nil, china, Shape)
		if shipped, err = mapping.OpenBook(mapping.BookConfig{Shipped: maps.Files}, c, clock.System{}, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	})
	return shipped
}

func (h *hub) sendV2(body []byte) {
	h.t.Helper()
	if err := h.maps.Handle(context.Background(), h.message(mapping.KindV2, body)); err != nil {
		h.t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
}

func TestV2ADTIsTheSameVisit(t *testing.T) {
	adt := v2Sample(t, "ADT_A04.hl7")
	h := newHub(t)
	h.sendV2(adt)
	p := tcm.ReadPatient(h.node("Patient", tcm.PatientID(org, "100001")))
	if p.Name != "张三" || p.Gender != "male" || p.BirthDate != "1956-03-12" || p.NationalID != "379901195603120010" || p.Phone != "05300000000" {
		t.Errorf("%+v", p)
	}
	e := tcm.ReadEncounter(h.node("Encounter", tcm.EncounterID(org, "443001")))
	if e.Status != "in-progress" || len(e.Diagnoses) != 3 || e.DoctorName != "王示例" || e.Start != "2026-10-12T08:31:05+08:00" {
		t.Errorf("%+v", e)
	}
	ids := versions(h.state())
	h.send(KindVisit, visits(t)[0])
	for k := range ids {
		if h.state()[k] == nil {
			t.Errorf("%s is not the document's", k)
		}
	}
	after := h.state()
	if count(after, "Condition") != 3 || count(after, "Encounter") != 1 || count(after, "Patient") != 1 || count(after, "Practitioner") != 1 {
		t.Errorf("%v", versions(after))
	}
	h.sendV2(adt)
	if e := tcm.ReadEncounter(h.node("Encounter", tcm.EncounterID(org, "443001"))); e.Status != "finished" {
		t.Error("an old message undid the document")
	}
}

func TestV2PrescriptionHasDoses(t *testing.T) {
	h := newHub(t)
	h.sendV2(v2Sample(t, "RDE_O11.hl7"))
	id := tcm.HerbalPrescription{Visit: tcm.Visit{OrgCode: org}, No: "C880001"}.ID()
	p := tcm.ReadHerbalPrescription(h.node("MedicationRequest", id), h.node("Medication", id))
	if p.No != "C880001" || p.Doses != "3" || len(p.Items) != 5 || p.Category != tcm.Decoction || p.Usage != "每日1剂 分2次温服" {
		t.Errorf("%+v", p)
	}
	if it := p.Items[3]; it.Name != "生姜" || it.Dose != "9" || it.Unit != "g" || it.Note != "后下" || it.Quantity != "27" {
		t.Errorf("%+v", it)
	}
	h.sendV2([]byte(strings.Replace(string(v2Sample(t, "RDE_O11.hl7")), "ORC|NW|", "ORC|CA|", 1)))
	if p := tcm.ReadHerbalPrescription(h.node("MedicationRequest", id), h.node("Medication", id)); !p.Cancelled {
		t.Error("a cancelled order stays active")
	}
}

func TestV2OrdersByForm(t *testing.T) {
	h := newHub(t)
	h.sendV2([]byte("MSH|^~\\&|HIS|1|||20261012083500||ORM^O01|1|P|2.3\rPID|1||2^^^1^PI||Li^Ming\rPV1|1|O|||||||||||||||||7\r" +
		"ORC|NW|W1\rRXO|9001^感冒清热颗粒|1||盒|中成药||||||2|盒\rORC|NW|W2\rRXE|^^^^^^^口服|X1^阿莫西林|1||粒|胶囊||||24|粒\rRXE||X1^阿莫西林|1||粒|胶囊||||12|粒"))
	st := h.state()
	if count(st, "MedicationRequest") != 3 || count(st, "Medication") != 0 {
		t.Errorf("%v", versions(st))
	}
	d := tcm.ReadDrugRequest(h.node("MedicationRequest", tcm.DrugRequest{Visit: tcm.Visit{OrgCode: "1"}, VisitNo: "7", No: "W1", Code: "9001"}.ID()))
	if d.Category != tcm.Patent || d.Quantity != "2" || d.EncounterID != tcm.EncounterID("1", "7") {
		t.Errorf("%+v", d)
	}
	if p := tcm.ReadPatient(h.node("Patient", tcm.PatientID("1", "2"))); p.Name != "Ming Li" {
		t.Errorf("%+v", p)
	}
}

func TestV2_bad(t *testing.T) {
	h := newHub(t)
	for name, c := range map[string]struct {
		raw  string
		kind fault.Kind
	}{
		"not v2":     {"hello", fault.Invalid},
		"no patient": {"MSH|^~\\&|a|1|||||ADT^A04|1|P|2.5\rPID|1", fault.Invalid},
		"no org":     {"MSH|^~\\&|a||||||ADT^A04|1|P|2.5\rPID|1||5", fault.Invalid},
		"gender":     {"MSH|^~\\&|a|1|||||ADT^A04|1|P|2.5\rPID|1||5|||||Q", fault.Invalid},
		"birth":      {"MSH|^~\\&|a|1|||||ADT^A04|1|P|2.5\rPID|1||5||||x", fault.Invalid},
		"no order":   {"MSH|^~\\&|a|1|||||RDE^O11|1|P|2.5\rPID|1||5", fault.Invalid},
		"no number":  {"MSH|^~\\&|a|1|||||RDE^O11|1|P|2.5\rPID|1||5\rORC|NW", fault.Invalid},
		"no map":     {"MSH|^~\\&|a|1|||||QBP^Q22|1|P|2.5\rPID|1||5", fault.Unsupported},
	} {
		if err := h.maps.Handle(context.Background(), h.message(mapping.KindV2, []byte(c.raw))); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(h.state()) != 0 {
		t.Error("a refused message left something behind")
	}
}
