// Package fhirpath is an engine for FHIRPath 2.0 (http://hl7.org/fhirpath/N1/)
// with the functions of FHIR (https://hl7.org/fhir/R4/fhirpath.html) and those
// that SQL on FHIR adds. It works on the zero-copy trees of package fhir, typed
// by the R4 model.
//
// Compile once, evaluate often and from any goroutine:
//
//	model, err := definitions.Load()
//	eng := fhirpath.NewEngine(model)
//	given, err := eng.Compile("Patient.name.where(use = 'official').given")
//	tree, err := fhir.Parse(data)
//	items, err := given.Eval(nil, tree.Root())
//	for _, it := range items {
//		fmt.Println(it.Type(), it) // string 五
//	}
//
// Items stay nodes of the tree ([Item.Node]) until a value is asked for
// ([Item.Value]). By default unknown paths are empty; with [Strict] they and
// other type errors are found when compiling. A resource whose resourceType is
// not R4's is plain untyped JSON. A [Context] brings variables, references,
// terminology and limits. Where the specification leaves room, see
// docs/spec-choices.md.
package fhirpath
