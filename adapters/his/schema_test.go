package his

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// contract lists the members that partners rely on (the visit document as it
// was published first): none may go away.
const contract = `orgCode orgName visitNo visitTime visitType doctor.id doctor.name
patient.id patient.name patient.gender patient.birthDate patient.idNo patient.phone patient.address patient.insuranceType
diagnoses.diseaseCode diagnoses.diseaseName diagnoses.syndromeCode diagnoses.syndromeName diagnoses.icd10 diagnoses.name
record.chiefComplaint record.presentIllness record.pastHistory record.allergyHistory record.personalHistory record.familyHistory record.physicalExam record.advice
fourExaminations.inspection fourExaminations.listening fourExaminations.inquiry fourExaminations.palpation fourExaminations.tongue fourExaminations.pulse
herbalPrescriptions.no herbalPrescriptions.time herbalPrescriptions.formula herbalPrescriptions.doses herbalPrescriptions.usage herbalPrescriptions.frequency herbalPrescriptions.amount
herbalPrescriptions.items.code herbalPrescriptions.items.name herbalPrescriptions.items.dose herbalPrescriptions.items.unit herbalPrescriptions.items.quantity herbalPrescriptions.items.price herbalPrescriptions.items.amount herbalPrescriptions.items.note
westernPrescriptions.no westernPrescriptions.time westernPrescriptions.type westernPrescriptions.amount
westernPrescriptions.items.code westernPrescriptions.items.name westernPrescriptions.items.quantity westernPrescriptions.items.unit westernPrescriptions.items.price westernPrescriptions.items.amount westernPrescriptions.items.usage
treatments.code treatments.name treatments.quantity treatments.price treatments.amount
charges.no charges.name charges.category charges.quantity charges.price charges.amount charges.time`

type schemaNode struct {
	Type        any
	Properties  map[string]*schemaNode
	Items       *schemaNode
	Required    []string
	Description string
}

func parseSchema(t *testing.T) *schemaNode {
	t.Helper()
	s := &schemaNode{}
	if err := json.Unmarshal(Schema(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaHasTheContract(t *testing.T) {
	root := parseSchema(t)
	for _, path := range strings.Fields(contract) {
		n := root
		for _, name := range strings.Split(path, ".") {
			if n.Items != nil {
				n = n.Items
			}
			if n = n.Properties[name]; n == nil {
				t.Fatalf("%s is missing", path)
			}
		}
		if n.Description == "" {
			t.Errorf("%s is not described", path)
		}
	}
	if got := strings.Join(root.Required, " "); got != "orgCode visitNo visitTime patient" {
		t.Errorf("required: %s", got)
	}
}

// TestSamplesFitTheSchema holds each sample against names, kinds and required
// members of the schema.
func TestSamplesFitTheSchema(t *testing.T) {
	root := parseSchema(t)
	for i, v := range visits(t) {
		var doc any
		if err := json.Unmarshal(v, &doc); err != nil {
			t.Fatal(err)
		}
		if why := fits(root, doc); why != "" {
			t.Errorf("visit %d: %s", i, why)
		}
	}
	if fits(root, map[string]any{"orgCode": "1"}) == "" || fits(root, []any{}) == "" {
		t.Error("the check itself takes anything")
	}
}

func fits(s *schemaNode, v any) string {
	switch v := v.(type) {
	case map[string]any:
		if s.Properties == nil {
			return "an object where none is expected"
		}
		for _, r := range s.Required {
			if v[r] == nil {
				return r + " is required"
			}
		}
		for k, c := range v {
			if s.Properties[k] == nil {
				return k + " is unknown"
			}
			if why := fits(s.Properties[k], c); why != "" {
				return k + ": " + why
			}
		}
	case []any:
		if s.Items == nil {
			return "a list where none is expected"
		}
		for _, c := range v {
			if why := fits(s.Items, c); why != "" {
				return why
			}
		}
	default:
		if s.Properties != nil || s.Items != nil {
			return "a value where an object or list is expected"
		}
	}
	return ""
}

func TestOpenAPIPublishesTheSchema(t *testing.T) {
	b, err := json.Marshal(OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"/ingest/his"`, `"/ingest/his/schema"`, `"/services/TCM_HIS_01"`, `"/services/TCM_HIS_09"`, `"herbalPrescriptions"`} {
		if !bytes.Contains(b, []byte(word)) {
			t.Errorf("%s is missing", word)
		}
	}
	if !bytes.Equal(Schema(), Schema()) {
		t.Error("the schema differs from call to call")
	}
}
