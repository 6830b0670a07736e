package cda

import (
	"strings"

	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// entry reads one clinical statement behind to.
func (r *reader) entry(to []Entry, e *xmlread.Element) []Entry {
	switch e.Name.Local {
	case Observation, Organizer, Procedure, Act, Drug, "encounter", "supply", "observationMedia", "regionOfInterest":
	default:
		r.note(e, "information", "not-supported", "cda-unread", "条目 "+e.Name.Local+" 未转换", "entry "+e.Name.Local+" was not converted")
		return to
	}
	out := Entry{el: e, Kind: e.Name.Local, ID: readID(e.Child("id")), Text: r.narrative(e.Child("text")), Time: readTime(e.Child("effectiveTime"))}
	if out.Kind == Drug {
		out.Medicine = r.medicine(e)
	} else if code := e.Child("code"); code != nil {
		out.Code = readCode(code)
		out.Qualifier = code.Find("qualifier", "name").Attr("displayName")
	}
	if v := e.Child("value"); v != nil {
		out.Value = r.value(v)
	}
	for _, c := range e.Children {
		if n := c.Name.Local; n == "entryRelationship" || n == "component" {
			for _, inner := range c.Children {
				out.Parts = r.entry(out.Parts, inner)
			}
		}
	}
	r.rest(e, "templateId", "id", "code", "text", "statusCode", "effectiveTime", "value", "entryRelationship", "component",
		"routeCode", "doseQuantity", "rateQuantity", "administrationUnitCode", "consumable")
	return append(to, out)
}

func readTime(e *xmlread.Element) string {
	if v := e.Attr("value"); v != "" {
		return v
	}
	if v := e.Child("low").Attr("value"); v != "" {
		return v
	}
	return e.Child("high").Attr("value")
}

func (r *reader) medicine(e *xmlread.Element) *Medicine {
	drug := e.Find("consumable", "manufacturedProduct", "manufacturedLabeledDrug")
	if drug == nil {
		drug = e.Find("consumable", "manufacturedProduct", "manufacturedMaterial")
	}
	m := &Medicine{Code: readCode(drug.Child("code")), Name: drug.Child("name").Value(), Route: readCode(e.Child("routeCode")),
		Form: readCode(e.Child("administrationUnitCode"))}
	if m.Name == "" {
		m.Name = m.Code.Display
	}
	if q := e.Child("doseQuantity"); q != nil {
		m.Dose = Value{Type: "PQ", Text: q.Attr("value"), Unit: q.Attr("unit"), NullFlavor: q.Attr("nullFlavor")}
	}
	if q := e.Child("rateQuantity"); q != nil {
		m.Frequency = readFrequency(q)
	}
	return m
}

// readFrequency reads how often: a coded translation, or what implementations
// write into the value (qd).
func readFrequency(q *xmlread.Element) Code {
	if t := q.Child("translation"); t != nil {
		return readCode(t)
	}
	word := strings.TrimSpace(q.Attr("value") + " " + q.Attr("unit"))
	if word == "" {
		return Code{}
	}
	return Code{NullFlavor: "OTH", Original: word}
}

// readCode reads a coded element; nil gives the zero Code.
func readCode(e *xmlread.Element) Code {
	if e == nil {
		return Code{}
	}
	c := Code{Code: strings.TrimSpace(e.Attr("code")), System: e.Attr("codeSystem"), SystemName: e.Attr("codeSystemName"),
		Version: e.Attr("codeSystemVersion"), Display: e.Attr("displayName"), NullFlavor: e.Attr("nullFlavor"),
		Original: e.Child("originalText").Value()}
	if t := e.Child("translation"); t != nil {
		local := readCode(t)
		c.Local = &local
	}
	return c
}

// value reads a typed value by its xsi:type, else by what it looks like.
func (r *reader) value(e *xmlread.Element) Value {
	v := Value{NullFlavor: e.Attr("nullFlavor")}
	for i := range e.Attrs {
		if e.Attrs[i].Local == "type" && e.Attrs[i].Prefix != "" {
			v.Type = e.Attrs[i].Value[strings.LastIndexByte(e.Attrs[i].Value, ':')+1:]
		}
	}
	switch v.Type {
	case "CD", "CE", "CV", "CS":
		v.Type, v.Code = "CD", readCode(e)
		v.NullFlavor, v.Code.NullFlavor = v.Code.NullFlavor, ""
	case "PQ":
		v.Text, v.Unit = e.Attr("value"), e.Attr("unit")
	case "MO":
		v.Text, v.Unit = e.Attr("value"), e.Attr("currency")
	case "BL", "INT", "TS", "REAL":
		v.Text = e.Attr("value")
	case "ST", "ED":
		v.Type, v.Text = "ST", r.narrative(e)
	default:
		v = r.untyped(e, v)
	}
	return v
}

// untyped reads a value of another or no type as text, and says so.
func (r *reader) untyped(e *xmlread.Element, v Value) Value {
	r.note(e, "warning", "value", "cda-type", "值的类型 xsi:type 缺失或不支持："+clip(v.Type)+"，按文本读取", "xsi:type is missing or unknown; read as text")
	v.Type, v.Text = "ST", r.narrative(e)
	if v.Text == "" {
		v.Text = strings.TrimSpace(e.Attr("value") + e.Attr("unit"))
	}
	return v
}

// clip shortens foreign words for a message.
func clip(s string) string {
	n := 0
	for i := range s {
		if n++; n > 40 {
			return s[:i] + "…"
		}
	}
	return s
}

// narrative is the plain text of marked-up text: blocks become lines, scripts and
// everything else that is not text is taken off.
func (r *reader) narrative(e *xmlread.Element) string {
	if e == nil {
		return ""
	}
	if len(e.Children) == 0 {
		return e.Value()
	}
	var b strings.Builder
	r.flow(&b, e)
	lines := strings.Split(b.String(), "\n")
	out := lines[:0]
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// flow writes the text of an element. The reader joins character data, so text
// around inline children comes before them.
func (r *reader) flow(b *strings.Builder, e *xmlread.Element) {
	for i := range e.Attrs {
		if strings.HasPrefix(strings.ToLower(e.Attrs[i].Local), "on") || strings.HasPrefix(strings.ToLower(strings.TrimSpace(e.Attrs[i].Value)), "javascript:") {
			r.unsafe(e)
		}
	}
	b.WriteString(e.Text)
	for _, c := range e.Children {
		switch strings.ToLower(c.Name.Local) {
		case "script", "style", "iframe", "object", "embed":
			r.unsafe(c)
			continue
		case "br", "paragraph", "p", "div", "item", "tr", "caption", "table", "list":
			b.WriteByte('\n')
		case "td", "th":
			b.WriteByte(' ')
		}
		r.flow(b, c)
	}
}

func (r *reader) unsafe(e *xmlread.Element) {
	r.note(e, "warning", "security", "cda-active-content", "文本中的脚本或活动内容已去除", "active content was taken out of the text")
}
