package region

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
	"github.com/qihuang-health/qihuang/pipeline"
)

// TestSamplePrescription takes the published sample: the same prescription as in
// the other dialects.
func TestSamplePrescription(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/regional/prescription.json"))
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(t, Default())
	s := NewSink(h.store, zone)
	m := &pipeline.Message{ID: "m1", Source: "region", Kind: Kind, Received: time.Now(), Headers: map[string]string{HeaderOrg: "370000000001"}, Body: body}
	if err := s.Handle(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	rx := tcm.HerbalPrescription{Visit: tcm.Visit{OrgCode: "370000000001"}, VisitNo: "443001", No: "C880001"}
	req, med := h.read("MedicationRequest", rx.ID()), h.read("Medication", rx.ID())
	if req.Path("dispenseRequest", "quantity", "value").Str() != "3" || req.Path("groupIdentifier", "value").Str() != "C880001" || req.Get("authoredOn").Str() != "2026-10-12T08:35:00+08:00" {
		t.Errorf("%s", req.Raw())
	}
	if med.Get("ingredient").Len() != 5 || med.Path("ingredient", "strength", "numerator", "value").Str() != "9" || med.Path("ingredient", "itemCodeableConcept", "coding", "code").Str() != "5045" {
		t.Errorf("%s", med.Raw())
	}
	if p := h.read("Patient", tcm.PatientID("370000000001", "100001")); p.Path("name", "text").Str() != "张三" {
		t.Errorf("%s", p.Raw())
	}
	if e := h.read("Encounter", tcm.EncounterID("370000000001", "443001")); e.Path("identifier", "value").Str() != "443001" {
		t.Errorf("%s", e.Raw())
	}
	m.Headers = map[string]string{}
	if err := s.Handle(context.Background(), m); !fault.Is(err, fault.Invalid) {
		t.Errorf("without an organisation: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"PrescriptionNumber":"1"}`, `{"PrescriptionNumber":1}`} {
		if _, err := decode([]byte(bad)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
