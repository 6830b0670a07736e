package fhirpath

import (
	"encoding/xml"
	"strings"
)

// Narrative XHTML: https://hl7.org/fhir/R4/narrative.html#xhtml

const narrativeTags = " a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img " +
	"li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var "

const narrativeAttributes = " abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff " +
	"charset cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name nowrap " +
	"rel rev rowspan rules scope shape span src start style summary tabindex title type valign value vspace width xml:lang xmlns "

// narrativeOK reports whether s is a well-formed div of basic formatting
// without scripts, forms or foreign attributes (invariants txt-1 and txt-2).
func narrativeOK(s string) bool {
	d := xml.NewDecoder(strings.NewReader(s))
	d.Entity = xml.HTMLEntity
	var open []string
	content, closed := false, false
	for {
		t, err := d.RawToken()
		if err != nil {
			return closed && content
		}
		switch t := t.(type) {
		case xml.StartElement:
			if closed || len(open) == 0 && t.Name.Local != "div" || !allowed(t) {
				return false
			}
			content = content || t.Name.Local == "img"
			open = append(open, t.Name.Local)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != t.Name.Local {
				return false
			}
			open = open[:len(open)-1]
			closed = len(open) == 0
		case xml.CharData:
			content = content || strings.TrimSpace(string(t)) != ""
		case xml.Directive, xml.ProcInst:
			return false
		}
	}
}

func allowed(t xml.StartElement) bool {
	if t.Name.Space != "" || !strings.Contains(narrativeTags, " "+t.Name.Local+" ") {
		return false
	}
	for _, a := range t.Attr {
		name := a.Name.Local
		if a.Name.Space != "" {
			name = a.Name.Space + ":" + name
		}
		if !strings.Contains(narrativeAttributes, " "+name+" ") && a.Name.Space != "xmlns" ||
			strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Value)), "javascript:") {
			return false
		}
	}
	return true
}
