package bundle

import (
	"regexp"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

const oidPrefix = "urn:oid:"

// systems are the code systems that have a name of their own in FHIR.
var systems = map[string]string{cda.SystemLOINC: tcm.SystemLOINC, "2.16.840.1.113883.6.96": "http://snomed.info/sct",
	"2.16.840.1.113883.6.8": tcm.SystemUCUM}

// systemOf is the URI of a CDA code system; the edition of GB/T 15657 is told by
// the code's shape.
func systemOf(c cda.Code) string {
	switch {
	case c.System == "":
		if strings.HasPrefix(c.SystemName, "http") {
			return c.SystemName // a local system, as this package writes it
		}
		return ""
	case c.System == cda.SystemTCM && cda.Edition(c.Code) == "2021":
		return tcm.SystemGB2021
	case systems[c.System] != "":
		return systems[c.System]
	}
	return oidPrefix + c.System
}

// codingOf is a CDA code as a FHIR coding; zero if there is no code.
func codingOf(c cda.Code) tcm.Coding {
	if c.Code == "" {
		return tcm.Coding{}
	}
	return tcm.Coding{System: systemOf(c), Code: c.Code, Display: c.Display}
}

// words is the best text of a code.
func words(c cda.Code) string {
	switch {
	case c.Display != "":
		return c.Display
	case c.Original != "":
		return c.Original
	case c.Local != nil:
		return words(*c.Local)
	}
	return ""
}

// code writes a FHIR coding in CDA. A system without an object identifier cannot
// stand there: the words stay, with nullFlavor OTH and the local code as translation.
func (m *Mapper) code(c tcm.Coding) cda.Code {
	if c == (tcm.Coding{}) {
		return cda.Code{}
	}
	oid := strings.TrimPrefix(c.System, oidPrefix)
	out := cda.Code{Code: c.Code, System: oid, Display: c.Display}
	switch {
	case c.Code == "":
		return cda.Code{NullFlavor: "OTH", Original: c.Display}
	case c.System == tcm.SystemGB2021:
		out.System, out.SystemName, out.Version = cda.SystemTCM, "GB/T 15657-2021 中医病证分类与代码", "2021"
		return out
	case c.System == tcm.SystemGB1995:
		out.SystemName, out.Version = "GB/T 15657-1995 中医病证分类与代码", "1995"
		return out
	case oid == c.System:
		for known, uri := range systems {
			if uri == c.System {
				out.System = known
				return out
			}
		}
		return cda.Code{NullFlavor: "OTH", Original: c.Display, Local: &cda.Code{Code: c.Code, SystemName: c.System, Display: c.Display}}
	}
	if t := m.catalogue.Table(oid); t != nil {
		out.SystemName = t.Name
		if out.Display == "" {
			out.Display = t.Codes[c.Code]
		}
	}
	return out
}

// local reads a code that only the sender knows: a translation, or one without a
// code system.
func local(c cda.Code) tcm.Coding {
	if c.Local != nil {
		return tcm.Coding{System: systemOf(*c.Local), Code: c.Local.Code, Display: words(*c.Local)}
	}
	return tcm.Coding{System: systemOf(c), Code: c.Code, Display: words(c)}
}

// localCode writes a drug's own code: CDA has no name for its system.
func localCode(system, code, name string) cda.Code {
	if code == "" {
		return cda.Code{NullFlavor: "NI"}
	}
	return cda.Code{Code: code, SystemName: system, Display: name}
}

// dateTime reads an HL7 timestamp as a FHIR dateTime: dates keep their precision,
// times get the hub's zone if they have none. ok is false for anything else.
func (m *Mapper) dateTime(ts string) (string, bool) {
	if !cda.Timestamp(ts) {
		return "", false
	}
	body, zone := ts, ""
	if i := strings.IndexAny(ts, "+-"); i > 0 {
		body, zone = ts[:i], ts[i:]
	}
	body, fraction, _ := strings.Cut(body, ".")
	switch len(body) {
	case 4:
		return body, true
	case 6:
		return body[:4] + "-" + body[4:], true
	case 8:
		return body[:4] + "-" + body[4:6] + "-" + body[6:], true
	}
	full := body + "000000"[:14-len(body)]
	layout := "20060102150405"
	if zone != "" {
		layout, full = layout+"-0700", full+zone
	}
	t, err := time.ParseInLocation(layout, full, m.zone)
	if err != nil {
		return "", false
	}
	out := t.In(m.zone).Format("2006-01-02T15:04:05")
	if fraction != "" && len(fraction) <= 9 && digits.MatchString(fraction) {
		out += "." + fraction
	}
	return out + t.In(m.zone).Format("Z07:00"), true
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// timestamp writes a FHIR date or dateTime for CDA, in the hub's zone; "" if it is none.
func (m *Mapper) timestamp(s string) string {
	if len(s) <= 10 {
		return strings.ReplaceAll(s, "-", "")
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(t.In(m.zone).Format("20060102150405.000"), ".000")
}

var numeral = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$`)

// isNumber reports whether text is a decimal that JSON can hold as it is.
func isNumber(s string) bool { return numeral.MatchString(s) }
