// Package server is the FHIR R4 REST interface on gin, mounted at /fhir
// (https://hl7.org/fhir/R4/http.html).
//
// One table ([routes]) names every interaction: the dispatcher, the 405 answers
// and the CapabilityStatement all read it. An interaction is a function from
// [Request], whose grammar is package rest, to [Reply]; the same function serves an HTTP request and an entry of
// a batch bundle. Errors become statuses and OperationOutcomes in package outcome.
//
// Resources are written as the bytes the store holds: nothing between the store
// and the socket decodes them unless _summary, _elements, _pretty or XML ask for it.
package server
