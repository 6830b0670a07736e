package model

import (
	"encoding/json"
	"testing"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

func ptr[T any](v T) *T { return &v }

func TestAppendLeavesEmptyChoicesOut(t *testing.T) {
	var e Encoder
	got, err := e.Marshal(r4.MedicationRequest{
		Id: ptr("a"), Status: "active", Intent: "order",
		MedicationReference: r4.Reference{Reference: ptr("Medication/a")},
		Category:            []r4.CodeableConcept{{}, {Text: ptr("饮片 \"x\"\n")}},
		Subject:             r4.Reference{Reference: ptr("Patient/p")},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"resourceType":"MedicationRequest","id":"a","status":"active","intent":"order",` +
		`"category":[{"text":"饮片 \"x\"\n"}],"medicationReference":{"reference":"Medication/a"},"subject":{"reference":"Patient/p"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAppendKeepsFirstEnumValueAndDecimals(t *testing.T) {
	var e Encoder
	n := json.Number("9.00")
	got, _ := e.Marshal(&r4.Encounter{Status: r4.EncounterStatusPlanned, Class: r4.Coding{Code: ptr("AMB")},
		Length: &r4.Duration{Value: &n}})
	const want = `{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"length":{"value":9.00}}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}

func TestAppendRefusesNonStruct_bad(t *testing.T) {
	var e Encoder
	if _, err := e.Marshal("text"); err == nil {
		t.Fatal("a string is no resource")
	}
}

func BenchmarkAppend(b *testing.B) {
	p := r4.Patient{Id: ptr("pat-1"), Name: []r4.HumanName{{Text: ptr("张三"), Family: ptr("张"), Given: []string{"三"}}},
		Extension:  []r4.Extension{{Url: "http://example.org/x", ValueCoding: &r4.Coding{Code: ptr("01"), Display: ptr("汉族")}}},
		Identifier: []r4.Identifier{{System: ptr("urn:x"), Value: ptr("1")}}, BirthDate: ptr("1956-03-12")}
	var e Encoder
	buf := make([]byte, 0, 2048)
	b.Run("model", func(b *testing.B) {
		for b.Loop() {
			buf, _ = e.Append(buf[:0], p)
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(p)
		}
	})
}
