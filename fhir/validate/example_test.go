package validate_test

import (
	"context"
	"fmt"
	"log"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/fhir/validate"
)

// The ten lines of docs/guides/fhir-engine.md.
func Example() {
	model, err := definitions.Load()
	if err != nil {
		log.Fatal(err)
	}
	engine := fhirpath.NewEngine(model)
	validator := validate.New(model, engine, terminology.New(model))

	tree, err := fhir.Parse([]byte(`{"resourceType":"Patient","gender":"man","birthDay":"1970-01-01"}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, is := range validator.Validate(context.Background(), tree.Root(), validate.Options{Level: validate.Full}) {
		if is.Severity == "error" {
			fmt.Println(is.Line, is.Col, is.Expression, is.Key, is.Text, is.Hint)
		}
	}
	// Output:
	// 1 27 Patient.gender binding-required 编码 "man" 不在值集 http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1 中 one of male female other unknown
	// 1 42 Patient.birthDay unknown-property Patient 没有属性 "birthDay" did you mean "birthDate"?
}
