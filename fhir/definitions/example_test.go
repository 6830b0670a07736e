package definitions_test

import (
	"fmt"

	"github.com/qihuang-health/qihuang/fhir/definitions"
)

func Example() {
	m, err := definitions.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	el, ref := m.Type("Observation").JSONElement("valueQuantity")
	fmt.Println(el.Path, el.Choice, ref.Code, len(el.Types))
	fmt.Println(m.Type("Patient").Element("gender").Binding.ValueSet)
	fmt.Println(m.Type("Age").IsA("Quantity"), m.IsResource("DomainResource"))
	for _, p := range m.SearchParameters("Patient") {
		if p.Code == "birthdate" {
			fmt.Println(p.Type, p.Expression)
		}
	}
	// Output:
	// Observation.value[x] true Quantity 11
	// http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1
	// true false
	// date Patient.birthDate | Person.birthDate | RelatedPerson.birthDate
}
