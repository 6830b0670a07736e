// Package rest is the grammar of FHIR's REST interface: what the path, the query
// and the header fields of a request say (https://hl7.org/fhir/R4/http.html). It
// knows no store, no socket and no JSON; package server carries requests out.
package rest
