package fhir

import "strings"

// Canonical is a parsed canonical URL: url|version#fragment
// (https://hl7.org/fhir/R4/references.html#canonical).
type Canonical struct {
	URL, Version, Fragment string
}

// ParseCanonical splits a canonical URL. It never fails; parts that are absent
// are "". The parts share s.
func ParseCanonical(s string) Canonical {
	var c Canonical
	s, c.Fragment, _ = strings.Cut(s, "#")
	c.URL, c.Version, _ = strings.Cut(s, "|")
	return c
}

// String joins the parts again.
func (c Canonical) String() string {
	s := c.URL
	if c.Version != "" {
		s += "|" + c.Version
	}
	if c.Fragment != "" {
		s += "#" + c.Fragment
	}
	return s
}
