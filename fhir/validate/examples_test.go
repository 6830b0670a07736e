package validate

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fetch"
)

// faulty are the R4 examples that break R4: the errors found in them are right.
// docs/spec-choices.md gives the reasons.
func faulty() map[string][]string {
	m := map[string][]string{
		"ActivityDefinition-blood-tubes-supply.json":        {"txt-2"}, // empty <div>
		"ActivityDefinition-heart-valve-replacement.json":   {"txt-2"},
		"EventDefinition-example.json":                      {"txt-2"},
		"Questionnaire-zika-virus-exposure-assessment.json": {"txt-2"},
		"DeviceMetric-example.json":                         {"reference-target"}, // parent is a DeviceDefinition, R4 allows Device
		"DeviceUseStatement-example.json":                   {"reference-target"}, // reasonReference is a Procedure
		"MedicationRequest-medrx0301.json":                  {"reference-target"}, // performer is a Practitioner
		"Observation-clinical-gender.json":                  {"reference-target"}, // performer is an Encounter
		"ImplementationGuide-fhir.json":                     {"required-missing", "reference-format"},
		"ig-r4.json":                                        {"required-missing", "reference-format"},
		"Questionnaire-qs1.json":                            {"required-missing"}, // items without linkId
		"StructureDefinition-Definition.json":               {"sdf-4"},            // logical models without baseDefinition
		"StructureDefinition-Event.json":                    {"sdf-4"},
		"StructureDefinition-FiveWs.json":                   {"sdf-4"},
		"StructureDefinition-Request.json":                  {"sdf-4"},
		"SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": {"bad-id"}, // 65 characters and more
	}
	for _, name := range []string{"author", "effective", "end", "keyword", "workflow"} { // no base
		m["SearchParameter-codesystem-extensions-CodeSystem-"+name+".json"] = []string{"required-missing"}
		m["SearchParameter-valueset-extensions-ValueSet-"+name+".json"] = []string{"required-missing"}
	}
	return m
}

// examples yields the files of the R4 examples package; the test is skipped if
// the package was not fetched.
func examples(t testing.TB) func(yield func(string, []byte) bool) {
	t.Helper()
	dir, ok := "", false
	for _, s := range validator(t).model.Sources() {
		if s.Package == "hl7.fhir.r4.examples" {
			dir, ok = fetch.Package{Name: s.Package, Version: s.Version, Integrity: "sha512-" + s.SHA512}.Cached()
		}
	}
	if !ok {
		t.Skip("package hl7.fhir.r4.examples@4.0.1 is not in the cache: run `go generate ./fhir/definitions` once")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string, []byte) bool) {
		for _, f := range files {
			name := filepath.Base(f)
			if name == "package.json" || strings.HasPrefix(name, ".") {
				continue
			}
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(name, data) {
				return
			}
		}
	}
}

// TestExamples: every R4 example is valid, save those that break R4 themselves.
func TestExamples(t *testing.T) {
	v, wrong := validator(t), faulty()
	for _, level := range []Level{Structure, Full} {
		files, invalid, size, took := 0, 0, 0, time.Duration(0)
		for name, data := range examples(t) {
			tree, err := fhir.Parse(data)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			begin := time.Now()
			issues := v.Validate(context.Background(), tree.Root(), Options{Level: level})
			took += time.Since(begin)
			files, size = files+1, size+len(data)
			if !Valid(issues) {
				invalid++
			}
			for _, is := range issues {
				if is.Severity == "error" && !slices.Contains(wrong[name], is.Key) {
					t.Errorf("%s: %s %s: %s", name, is.Key, is.Expression, is.TextEN)
				}
			}
		}
		t.Logf("%s: %d R4 examples, %d valid, %d with errors of their own; %.0f MB in %v, %.0f resources/s", level, files, files-invalid, invalid,
			float64(size)/1e6, took.Round(time.Millisecond), float64(files)/took.Seconds())
	}
}
