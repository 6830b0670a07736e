// Package mapping turns a partner's messages into FHIR by maps that are data.
//
// A map is a YAML file (docs/formats/map.md): what it matches, what a message
// must have, named values, code tables, and templates of resources whose values
// are FHIRPath over the message. The message stands before the map as a
// [Source]: one tree, whatever it was written in (HL7 v2, XML, JSON, a table
// row).
//
//	c := mapping.NewCompiler(model, codes, zone)
//	m, err := c.Compile("hl7v2-adt", text)      // errors have line and column of the map
//	src, err := mapping.V2(message)
//	out, err := m.Apply(ctx, src)               // resources, findings, codes without a target
//
// Compiling checks every element against the R4 model, so a map that compiles
// can only write elements that exist, with the JSON form they need. A [Map] is
// immutable; [Book] holds the current ones, swaps them while messages flow, and
// keeps their versions.
package mapping
