// Package fhir holds what every part of the FHIR engine shares: the compact
// parsed tree over raw JSON ([Tree], [Node]) and the names of resources.
//
// Raw JSON is the truth. A [Tree] is an index over those bytes: no value is
// copied or converted until asked for, decimals keep their text, members keep
// their order, and primitive extensions (`_birthDate`) stay beside their values.
package fhir
