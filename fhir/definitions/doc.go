// Package definitions is the FHIR R4 (4.0.1) model: types and their elements,
// search parameters, compartments, and the conformance resources (structure
// definitions, value sets, code systems, concept maps) they depend on.
//
// Everything is embedded in one compact file, r4.bin, made from the npm packages
// hl7.fhir.r4.examples, hl7.fhir.r4.expansions and hl7.terminology.r4 (HL7
// International, CC0 1.0; code systems of others keep their copyright member). A
// [Model] is immutable and safe for concurrent use. [Load] decodes the element
// model at once; conformance resources stay compressed until they are asked for.
//
// There is no package state: load once and hand the model to who needs it.
package definitions

//go:generate go run ./gen -o r4.bin
