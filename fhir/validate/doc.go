// Package validate judges FHIR R4 resources: structure, cardinality, types and
// formats, fixed and pattern values, slicing, profiles, extensions, bindings,
// invariants, references, Bundle rules, narrative
// (http://hl7.org/fhir/R4/validation.html).
//
// A [Validator] is compiled once from the R4 model and is safe for concurrent
// use. It walks the parsed tree ([fhir.Node]) and answers a list of findings:
// each names its place as a FHIRPath expression with line and column, has a
// stable key, a text in Chinese and English, and where it can the mend.
//
//	v := validate.New(model, engine, terms)
//	tree, err := fhir.Parse(data)
//	for _, is := range v.Validate(ctx, tree.Root(), validate.Options{Level: validate.Full}) {
//		fmt.Println(is.Severity, is.Expression, is.Text, is.Hint)
//	}
//
// [Structure] is for the write path of a busy server: types, required elements,
// cardinality and formats. [Full] adds terminology, invariants, references and
// profiles.
package validate
