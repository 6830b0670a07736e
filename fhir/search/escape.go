package search

import "strings"

var escapes = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

// Escape keeps a value of a search parameter whole: commas, bars and dollars of
// its own are no separators (FHIR R4, 3.1.1.4.0.1). It is still to be
// percent-encoded.
func Escape(value string) string { return escapes.Replace(value) }
