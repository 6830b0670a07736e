package xml_test

import (
	"fmt"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/xml"
)

func Example() {
	m, err := definitions.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	x, err := xml.Convert(m, []byte(`{"resourceType":"Patient","name":[{"text":"李时珍","_text":{"id":"n"}}]}`), xml.FormatXML, true)
	fmt.Print(string(x), err, "\n")
	j, err := xml.ToJSON(m, x)
	fmt.Println(string(j), err)
	// Output:
	// <?xml version="1.0" encoding="UTF-8"?>
	// <Patient xmlns="http://hl7.org/fhir">
	//   <name>
	//     <text id="n" value="李时珍"/>
	//   </name>
	// </Patient>
	// <nil>
	// {"resourceType":"Patient","name":[{"text":"李时珍","_text":{"id":"n"}}]} <nil>
}
