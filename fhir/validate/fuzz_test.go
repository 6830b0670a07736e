package validate

import (
	"context"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
)

// FuzzValidate: any JSON is judged without a panic, and every finding has a
// place.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{benchPatient, benchObservation, `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:x","resource":{"resourceType":"Basic","code":{"text":"x"}},"request":{"method":"POST","url":"Basic"}}]}`,
		`{"resourceType":"Patient","_birthDate":[{}],"contained":[{"resourceType":"Patient","contained":[]}],"name":[[]],"extension":[{"extension":[{"url":1}]}]}`,
		`[1]`, `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","item":[{"linkId":"1","type":"group"}]}]}`} {
		f.Add([]byte(s), "http://hl7.org/fhir/StructureDefinition/vitalsigns|4.0.1")
	}
	v := validator(f)
	f.Fuzz(func(t *testing.T, data []byte, profile string) {
		tree, err := fhir.Parse(data)
		if err != nil {
			return
		}
		for _, o := range []Options{{Level: Structure}, {Level: Full, Profiles: []string{profile}}} {
			for _, is := range v.Validate(context.Background(), tree.Root(), o) {
				if is.Key == "" || is.Text == "" || is.TextEN == "" || is.Expression == "" && is.Key != "too-many-issues" {
					t.Fatalf("incomplete finding %+v", is)
				}
			}
		}
	})
}

// FuzzProfile: any differential is built, or refused, without a panic.
func FuzzProfile(f *testing.F) {
	f.Add([]byte(definition("p", "Patient", "", `{"id":"Patient.identifier:n.system","path":"Patient.identifier.system","fixedUri":"x"}`, `{"path":"Patient.deceasedBoolean"}`)))
	f.Add([]byte(definition("p", "Observation", "", `{"id":"Observation.value[x]:valueQuantity.value","path":"Observation.value[x].value","min":1}`)))
	v := validator(f)
	tree, err := fhir.Parse([]byte(benchPatient))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		own := &Validator{model: v.model, fp: v.fp, terms: v.terms, tx: v.tx, schemas: v.schemas, element: v.element}
		own.profiles = newProfiles(own)
		own.walks.New = func() any { return &walk{v: own} }
		if own.Add(data) != nil {
			return
		}
		own.Validate(context.Background(), tree.Root(), Options{Level: Full, Profiles: []string{"http://t/p"}})
	})
}
