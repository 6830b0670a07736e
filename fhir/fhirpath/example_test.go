package fhirpath_test

import (
	"fmt"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

func Example() {
	model, err := definitions.Load()
	if err != nil {
		panic(err)
	}
	eng := fhirpath.NewEngine(model)
	given, err := eng.Compile("Patient.name.where(use = 'official').given")
	if err != nil {
		panic(err)
	}
	tree, err := fhir.Parse([]byte(`{"resourceType":"Patient","name":[{"use":"official","family":"王","given":["五"]}]}`))
	if err != nil {
		panic(err)
	}
	items, err := given.Eval(nil, tree.Root())
	for _, it := range items {
		fmt.Println(it.Type(), it, err)
	}
	// Output: string 五 <nil>
}
