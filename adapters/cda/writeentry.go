package cda

// entry writes one clinical statement, elements in the order of the schema.
func (w *writer) entry(e *Entry) {
	kind := e.Kind
	switch kind {
	case Drug:
		w.drug(e)
		return
	case Organizer:
		w.open(kind, "classCode", "CLUSTER", "moodCode", "EVN")
	case Procedure:
		w.open(kind, "classCode", "PROC", "moodCode", "EVN")
	case Act:
		w.open(kind, "classCode", "ACT", "moodCode", "EVN")
	default:
		kind = Observation
		w.open(kind, "classCode", "OBS", "moodCode", "EVN")
	}
	if e.ID != (ID{}) {
		w.id("id", e.ID)
	}
	w.elementCode(e)
	if e.Text != "" {
		w.text("text", e.Text)
	}
	if kind == Organizer {
		w.empty("statusCode", "code", "completed")
	}
	if e.Time != "" {
		w.empty("effectiveTime", "value", e.Time)
	}
	if kind == Observation && e.Value.Type != "" {
		w.value("value", e.Value)
	}
	w.parts(kind, e.Parts)
	w.close(kind)
}

// elementCode writes the data element's number; a qualifier names it where the
// template has several of that number.
func (w *writer) elementCode(e *Entry) {
	if e.Code == (Code{}) {
		return
	}
	if e.Qualifier == "" {
		w.code("code", e.Code)
		return
	}
	c := e.Code
	w.open("code", "code", c.Code, "codeSystem", c.System, "codeSystemName", c.SystemName, "codeSystemVersion", c.Version,
		"displayName", c.Display, "nullFlavor", c.NullFlavor)
	w.inside(Code{Original: c.Original})
	w.open("qualifier")
	w.empty("name", "displayName", e.Qualifier)
	w.close("qualifier")
	w.inside(Code{Local: c.Local})
	w.close("code")
}

func (w *writer) parts(kind string, parts []Entry) {
	name, typ := "entryRelationship", "COMP"
	if kind == Organizer {
		name, typ = "component", ""
	}
	for i := range parts {
		w.open(name, "typeCode", typ)
		w.entry(&parts[i])
		w.close(name)
	}
}

// value writes a typed value.
func (w *writer) value(name string, v Value) {
	typ := []string{"xsi:type", v.Type, "nullFlavor", v.NullFlavor}
	switch v.Type {
	case "CD":
		if v.NullFlavor != "" {
			v.Code.NullFlavor = v.NullFlavor
		}
		w.code(name, v.Code, typ[:2]...)
	case "PQ":
		w.empty(name, append(typ, "value", v.Text, "unit", v.Unit)...)
	case "MO":
		w.empty(name, append(typ, "value", v.Text, "currency", v.Unit)...)
	case "BL", "INT", "TS", "REAL":
		w.empty(name, append(typ, "value", v.Text)...)
	default:
		w.text(name, v.Text, typ...)
	}
}

// drug writes a substanceAdministration.
func (w *writer) drug(e *Entry) {
	m := e.Medicine
	if m == nil {
		m = &Medicine{}
	}
	w.open(Drug, "classCode", "SBADM", "moodCode", "EVN")
	if e.ID != (ID{}) {
		w.id("id", e.ID)
	}
	if e.Text == "" {
		w.raw("<text/>")
	} else {
		w.text("text", e.Text)
	}
	if e.Time != "" {
		w.empty("effectiveTime", "value", e.Time)
	}
	w.optional("routeCode", m.Route)
	if !m.Dose.Empty() {
		w.empty("doseQuantity", "value", m.Dose.Text, "unit", m.Dose.Unit, "nullFlavor", m.Dose.NullFlavor)
	}
	if m.Frequency != (Code{}) {
		w.open("rateQuantity")
		w.code("translation", m.Frequency)
		w.close("rateQuantity")
	}
	w.optional("administrationUnitCode", m.Form)
	w.raw("<consumable><manufacturedProduct><manufacturedLabeledDrug>")
	w.code("code", m.Code)
	w.text("name", m.Name)
	w.raw("</manufacturedLabeledDrug></manufacturedProduct></consumable>")
	w.parts(Drug, e.Parts)
	w.close(Drug)
}
