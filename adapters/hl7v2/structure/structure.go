// Package structure checks HL7 v2 messages against the standard: which segments
// a message must have, which fields a segment, and what simple fields hold. The
// definitions are data (standard.json), made from the HL7 v2-to-FHIR tables,
// which state the structures of v2.3–v2.9 as one; see the test that makes them.
//
// Hospital systems bend the rules and the maps take what they can, so findings
// are advice for whoever connects a partner: no message is refused for them.
package structure

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed standard.json
var standard []byte

// Field is the definition of a field.
type Field struct {
	Name string `json:"name"`
	Type string `json:"type"` // data type: CX, XPN, NM …
	Min  int    `json:"min"`
	Max  int    `json:"max"` // -1 = unbounded
}

// Part is a segment or group of a message, in order.
type Part struct {
	Path string `json:"path"` // groups and the segment: PATIENT.VISIT.PV1; a group alone for the group itself
	Min  int    `json:"min"`
	Max  int    `json:"max"`
}

// Dictionary are the definitions. It is immutable.
type Dictionary struct {
	Segments map[string]map[int]Field `json:"segments"` // name → field number
	Messages map[string][]Part        `json:"messages"` // structure: ADT_A01
}

// Standard returns the definitions that come with the hub.
func Standard() (*Dictionary, error) {
	d := &Dictionary{}
	if err := json.Unmarshal(standard, d); err != nil {
		return nil, fmt.Errorf("HL7 v2 definitions: %w", err)
	}
	return d, nil
}

// sameAs are the structures that several events have in common (table 0354).
var sameAs = map[string]string{
	"ADT_A04": "ADT_A01", "ADT_A08": "ADT_A01", "ADT_A13": "ADT_A01", "ADT_A14": "ADT_A05", "ADT_A28": "ADT_A05", "ADT_A31": "ADT_A05",
	"ADT_A07": "ADT_A06", "ADT_A10": "ADT_A09",
	"SIU_S13": "SIU_S12", "SIU_S14": "SIU_S12", "SIU_S15": "SIU_S12", "SIU_S16": "SIU_S12", "SIU_S17": "SIU_S12", "SIU_S26": "SIU_S12",
}

// Message returns the parts of a structure, nil if it is not defined here.
func (d *Dictionary) Message(structure string) []Part {
	if s, ok := sameAs[structure]; ok {
		structure = s
	}
	return d.Messages[structure]
}
