// Package bundle maps national shared documents (package cda) to FHIR document
// Bundles and back.
//
// Between the two forms stand [Facts], the domain values of one document: the
// builders of fhir/tcm for what the TCM guide profiles, and data elements as they
// are for everything else, which become Observations coded by their number. So
// each of the four ways (resources → facts → document, document → facts →
// resources) is one file, and a round trip loses nothing the template has a
// place for. data/mapping.json says which data element is which fact and where it
// stands in FHIR.
//
//	gather.go   resources → facts      compose.go  facts → document
//	absorb.go   document → facts       build.go    facts → resources
//
// What has no place on the other side becomes an issue, never vanishes. A code is
// never invented: what has none is text with a nullFlavor or a data-absent-reason.
package bundle
