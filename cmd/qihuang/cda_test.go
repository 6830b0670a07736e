package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/shared"
)

// TestVisitThroughSharedDocuments takes one visit of the shared scenario (record,
// four examinations, syndrome, prescription, charges) SOAP → FHIR → CDA → FHIR on
// the running hub: what comes back says the same, but for what the conversion
// said it could not place.
func TestVisitThroughSharedDocuments(t *testing.T) {
	samples := filepath.Join(shared.Dir(t), "data", "tcm", "samples")
	needEngine(t)
	h := startHub(t)
	push, err := os.ReadFile(filepath.Join(samples, "platform", "TCM_HIS_01_soap_request.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if status, body := h.request("POST", "/services/TCM_HIS_01", "text/xml", push); status != 200 || !bytes.Contains(body, []byte("successfully")) {
		t.Fatalf("%d %s", status, body)
	}
	visits, err := os.ReadFile(filepath.Join("..", "..", "adapters", "his", "testdata", "visits.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(visits, &list); err != nil {
		t.Fatal(err)
	}
	if status, body := h.request("POST", "/ingest/his", "application/json", list[0]); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	record := "/fhir/Composition/" + tcm.RecordID("370000000001", "443001")
	h.eventually(20*time.Second, "the record", func() bool { s, _ := h.request("GET", record, "", nil); return s == 200 })

	status, original := h.request("GET", record+"/$document", "", nil)
	if status != 200 {
		t.Fatalf("%d %s", status, original)
	}
	had, came, said := resources(t, original), map[string]fhir.Node{}, ""
	for _, template := range []string{"C0001", "C0002", "C0005", "C0005&prescription=W1"} {
		doc, unplaced := h.sharedDocument(t, original, template)
		said += unplaced
		status, back := h.request("POST", "/fhir/$from-cda", "application/xml", doc)
		if status != 200 {
			t.Fatalf("%s: %d %s", template, status, back)
		}
		for ref, n := range resources(t, back) {
			if typ := n.ResourceType(); typ == "Encounter" && template != "C0001" || typ == "Composition" {
				ref = template + " " + ref // each document tells its part
			}
			came[ref] = n
		}
	}
	compared := 0
	for ref, n := range had {
		want := meaning(n)
		if want == nil {
			continue
		}
		got := came[ref]
		if n.ResourceType() == "Composition" {
			got = nodeOf(came, "C0002 Composition/")
		}
		if !got.Exists() {
			t.Errorf("%s did not come back", ref)
			continue
		}
		compared++
		if back := meaning(got); !reflect.DeepEqual(back, want) {
			t.Errorf("%s came back as\n%+v\nwas\n%+v", ref, back, want)
		}
	}
	if compared < 14 {
		t.Errorf("only %d resources were compared", compared)
	}
	for _, what := range []string{"药味单价与金额", "费用明细的数量与单价", "医疗付费方式"} {
		if !strings.Contains(said, what) {
			t.Errorf("nothing was said of %s", what)
		}
	}
	status, direct := h.request("GET", record+"/$document?_format=cda", "", nil)
	if status != 200 || !bytes.Contains(direct, []byte(`<templateId root="2.16.156.10011.2.1.1.22"/>`)) {
		t.Errorf("$document?_format=cda: %d %.300s", status, direct)
	}
}

// sharedDocument converts a Bundle by $to-cda; the second result is what it said.
func (h *program) sharedDocument(t *testing.T, bundle []byte, template string) (doc []byte, said string) {
	t.Helper()
	status, doc := h.request("POST", "/fhir/$to-cda?template="+template, "application/fhir+json", bundle)
	if status != 200 || !bytes.HasPrefix(doc, []byte("<?xml")) {
		t.Fatalf("%s: %d %.300s", template, status, doc)
	}
	status, params := h.request("POST", "/fhir/$to-cda?_format=json&template="+template, "application/fhir+json", bundle)
	if status != 200 {
		t.Fatalf("%s: %d %.300s", template, status, params)
	}
	tree, err := fhir.Parse(params)
	if err != nil {
		t.Fatal(err)
	}
	for p := range tree.Root().Get("parameter").Children() {
		for is := range p.Path("resource", "issue").Children() {
			said += is.Path("details", "text").Str() + "\n"
		}
	}
	return doc, said
}

func resources(t *testing.T, bundle []byte) map[string]fhir.Node {
	t.Helper()
	tree, err := fhir.Parse(bundle)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]fhir.Node{}
	for e := range tree.Root().Get("entry").Children() {
		r := e.Get("resource")
		out[r.ResourceType()+"/"+r.Get("id").Str()] = r
	}
	return out
}

func nodeOf(m map[string]fhir.Node, prefix string) fhir.Node {
	for k, n := range m {
		if strings.HasPrefix(k, prefix) {
			return n
		}
	}
	return fhir.Node{}
}

// meaning reads a resource as the domain value it is, without what shared
// documents have no place for (prices of lines); nil for what is not compared.
func meaning(n fhir.Node) any {
	switch n.ResourceType() {
	case "Patient":
		return tcm.ReadPatient(n)
	case "Organization":
		return tcm.ReadOrganization(n)
	case "Practitioner":
		return tcm.ReadPractitioner(n)
	case "Encounter":
		e := tcm.ReadEncounter(n)
		e.VisitType = "" // C0002 tells it, and is compared there by the record
		return e
	case "Condition":
		return tcm.ReadCondition(n)
	case "Observation":
		if f := tcm.ReadFinding(n); f.Kind != "" {
			return f
		}
		return nil
	case "Medication":
		var lines []tcm.Ingredient
		p := tcm.ReadHerbalPrescription(fhir.Node{}, n)
		for _, it := range p.Items {
			it.Price, it.Amount = "", ""
			lines = append(lines, it)
		}
		return lines
	case "MedicationRequest":
		if n.Get("medicationCodeableConcept").Exists() {
			d := tcm.ReadDrugRequest(n)
			d.Price, d.Amount = "", ""
			return d
		}
		return tcm.ReadHerbalPrescription(n, fhir.Node{})
	case "ChargeItem":
		c := tcm.ReadCharge(n)
		c.Quantity, c.Price = "", ""
		return c
	case "Composition":
		r := tcm.ReadRecord(n)
		return []string{r.ChiefComplaint, r.PresentIllness, r.PastHistory, r.AllergyHistory, r.PhysicalExam, r.Advice, r.Time, r.DoctorName, r.OrgCode}
	}
	return nil
}
