package mapping

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// textOf is the text of an item: of a value; of the first component of an HL7
// field; of an XML element. An explicit HL7 null is no text.
func textOf(it fhirpath.Item) string {
	n, ok := it.Node()
	if !ok {
		return it.String()
	}
	if n.Kind() == fhir.Object {
		if c := n.Get("c1"); c.Exists() {
			n = c
		} else {
			n = n.Get("text")
		}
	}
	if s := n.Str(); s != `""` {
		return s
	}
	return ""
}

var yes = map[string]string{"true": "true", "y": "true", "1": "true", "是": "true", "false": "false", "n": "false", "0": "false", "否": "false"}

// primitive appends an item as a FHIR primitive; ok is false if there is
// nothing to write or it cannot be of that type.
func (r *run) primitive(dst []byte, it fhirpath.Item, typ *definitions.Type) (out []byte, ok bool) {
	if typ == nil {
		return untyped(dst, it)
	}
	text := strings.TrimSpace(textOf(it))
	if text == "" {
		return dst, false
	}
	switch typ.Name {
	case "boolean":
		b, ok := yes[strings.ToLower(text)]
		return append(dst, b...), ok
	case "decimal":
		d, ok := ParseDecimal(strings.TrimPrefix(text, "+"))
		return append(dst, d...), ok
	case "integer", "positiveInt", "unsignedInt":
		d, _ := ParseDecimal(strings.TrimPrefix(text, "+"))
		n, err := strconv.ParseInt(d, 10, 32)
		if err != nil || typ.Name == "positiveInt" && n < 1 || typ.Name == "unsignedInt" && n < 0 {
			return dst, false
		}
		return strconv.AppendInt(dst, n, 10), true
	}
	if text, ok = r.lexical(text, typ.Name); !ok {
		return dst, false
	}
	return fhir.AppendString(dst, text), true
}

// lexical gives text the form its type demands.
func (r *run) lexical(text, typ string) (string, bool) {
	switch typ {
	case "dateTime":
		return DateTime(text, r.m.compiler.zone)
	case "date":
		s, ok := DateTime(text, r.m.compiler.zone)
		return s[:min(len(s), len("2006-01-02"))], ok
	case "instant":
		t, ok := ParseMoment(text, r.m.compiler.zone)
		if s, fits := DateTime(text, r.m.compiler.zone); fits && len(s) > len("2006-01-02") {
			return s, true
		}
		return t.In(r.m.compiler.zone).Format("2006-01-02T15:04:05.999Z07:00"), ok
	case "time":
		return clockTime(text)
	case "id":
		return text, fhir.IsID(text)
	case "code":
		return text, !strings.ContainsAny(text, "\t\r\n") && !strings.Contains(text, "  ")
	case "uri", "url", "canonical", "oid", "uuid":
		return text, !strings.ContainsAny(text, " \t\r\n")
	case "base64Binary":
		text = strings.Join(strings.Fields(text), "")
		_, err := base64.StdEncoding.DecodeString(text)
		return text, err == nil
	}
	return text, true
}

// clockTime reads HHMM[SS] and HH:MM[:SS].
func clockTime(s string) (string, bool) {
	s = strings.ReplaceAll(s, ":", "")
	if len(s) == 4 {
		s += "00"
	}
	if n, err := strconv.Atoi(s); err != nil || len(s) != 6 || n/10000 > 23 || n/100%100 > 59 || n%100 > 59 {
		return "", false
	}
	return s[:2] + ":" + s[2:4] + ":" + s[4:], true
}

// untyped writes a value in a document without a model: numbers and booleans as
// they are, all else as text.
func untyped(dst []byte, it fhirpath.Item) ([]byte, bool) {
	if v, ok := it.Value(); ok {
		switch v.Kind() {
		case fhirpath.KindBoolean, fhirpath.KindInteger, fhirpath.KindDecimal:
			return append(dst, it.String()...), true
		}
	}
	text := strings.TrimSpace(textOf(it))
	if text == "" {
		return dst, false
	}
	return fhir.AppendString(dst, text), true
}
