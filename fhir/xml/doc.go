// Package xml converts between FHIR's XML and JSON forms
// (https://hl7.org/fhir/R4/xml.html, https://hl7.org/fhir/R4/json.html), driven
// by the R4 definitions.
//
// Nothing is lost between the two: ids and extensions on primitives, contained
// resources, decimals as text, narrative markup. XML demands the elements in the
// specification's order, so JSON members in another order come back in that one.
// Comments in XML, null and empty arrays in JSON carry no information and are
// dropped. Whatever else does not fit the definitions is an error with its place.
package xml

// Namespaces of FHIR resources and of narrative.
const (
	Namespace = "http://hl7.org/fhir"
	XHTML     = "http://www.w3.org/1999/xhtml"
)
