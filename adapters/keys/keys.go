// Package keys finds the business keys of a message, whatever it is written in:
// whose it is, which visit, which prescription, which invoice. Operators search
// messages by them, and messages of one patient stay in order by them.
//
// Members, elements and columns are known by name: those of our visit document
// (docs/formats/his-visit.md), of the township HIS (data/tcm/his_tables.json:
// initials of the pinyin), of the insurance interfaces, and of FHIR.
package keys

import (
	"bytes"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/xmlread"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Type says what a key names.
type Type byte

// The types.
const (
	Patient      Type = 'p' // a patient's number
	Name         Type = 'n' // a patient's name
	Identity     Type = 'i' // a national id or card number
	Visit        Type = 'v' // a visit's number
	Prescription Type = 'r' // a prescription's number
	Invoice      Type = 'b' // an invoice, registration or settlement number
	Org          Type = 'o' // an organisation's code
)

// Key is one business key of a message.
type Key struct {
	Type  Type
	Value string
}

const (
	maxKeys  = 400 // of one message
	maxValue = 128 // bytes
	maxDepth = 40
)

// names of members, elements and columns, upper case, without what stands in
// front of them.
var names = map[string]Type{
	// township HIS
	"BRID": Patient, "MZHM": Patient, "PATID": Patient, "BRXM": Name, "HZXM": Name, "SFZH": Identity, "JZXH": Visit, "JZLSH": Visit, "MZXH": Invoice,
	"CFSB": Prescription, "CFHM": Prescription, "FPHM": Invoice, "JGID": Org,
	// insurance
	"CARDID": Identity, "CERTNO": Identity, "PSN_NO": Identity, "PSN_NAME": Name, "MDTRT_ID": Visit, "SETL_ID": Invoice, "DJID": Visit, "BXID": Invoice, "DJLSH": Invoice,
	// ours, and what partners call the same
	"PATIENTID": Patient, "OUTPATIENTNO": Visit, "VISITNO": Visit, "SERIALNO": Visit, "IDNO": Identity, "CARDNO": Identity, "ORGCODE": Org,
	"PATIENTNAME": Name, "PRESCRIPTIONNO": Prescription, "PRESCRIPTIONID": Prescription,
}

// within: members whose meaning depends on what they stand in.
var within = map[string]Type{
	"PATIENT.ID": Patient, "PATIENT.NAME": Name, "PATIENT.TEXT": Name, "HERBALPRESCRIPTIONS.NO": Prescription, "WESTERNPRESCRIPTIONS.NO": Prescription,
	"CHARGES.NO": Invoice, "PATIENTROLE.EXTENSION": Patient, "GROUPIDENTIFIER.VALUE": Prescription,
}

// Of returns the business keys of a message, each once, in the order found.
func Of(m *pipeline.Message) []Key {
	f := &finder{seen: map[Key]bool{}}
	body := m.Body
	head := bytes.TrimLeft(body[:min(len(body), 64)], "\ufeff \t\r\n\x0b")
	switch {
	case bytes.HasPrefix(head, []byte("MSH")):
		f.v2(body)
	case len(head) > 0 && head[0] == '<':
		f.xml(body, 0)
	case len(head) > 0 && (head[0] == '{' || head[0] == '['):
		if text, _, err := charset.Decode(body, m.Charset); err == nil {
			f.json(text)
		}
	}
	return f.found
}

// Order is the part of the ordering key that names the patient: organisation
// and patient number, else identity, else name, else "".
func Order(found []Key) string {
	pick := func(t Type) string {
		for _, k := range found {
			if k.Type == t {
				return k.Value
			}
		}
		return ""
	}
	for _, t := range []Type{Patient, Identity, Name} {
		if v := pick(t); v != "" {
			return pick(Org) + "|" + v
		}
	}
	return ""
}

type finder struct {
	found []Key
	seen  map[Key]bool
}

func (f *finder) add(t Type, value string) {
	k := Key{t, strings.TrimSpace(value)}
	if k.Value == "" || len(k.Value) > maxValue || len(f.found) >= maxKeys || f.seen[k] {
		return
	}
	f.seen[k] = true
	f.found = append(f.found, k)
}

// named adds a value by the name of its member and of what that stands in.
func (f *finder) named(parent, name, value string) {
	if value == "" {
		return
	}
	name = strings.ToUpper(name)
	if t, ok := within[strings.ToUpper(parent)+"."+name]; ok {
		f.add(t, value)
		return
	}
	if t, ok := names[strings.ReplaceAll(name, "_", "")]; ok {
		f.add(t, value)
	} else if t, ok := names[name]; ok {
		f.add(t, value)
	}
}

func (f *finder) json(text []byte) {
	tree, err := fhir.Parse(text)
	if err != nil {
		return
	}
	root := tree.Root()
	if root.ResourceType() != "" {
		f.resource(root, 0)
		return
	}
	f.walk(root, "", 0)
}

// walk looks at every member of plain JSON. Texts that are documents themselves
// are looked into.
func (f *finder) walk(n fhir.Node, parent string, depth int) {
	if depth > maxDepth || len(f.found) >= maxKeys {
		return
	}
	for c := range n.Children() {
		name := parent
		if n.Kind() == fhir.Object {
			name = c.Key()
		}
		switch c.Kind() {
		case fhir.Object, fhir.Array:
			f.walk(c, name, depth+1)
		case fhir.String, fhir.Number:
			f.named(parent, name, c.Str())
		}
	}
}

// resource looks at FHIR: identifiers of patients and visits, names, groups of
// prescriptions; a Bundle's entries one by one.
func (f *finder) resource(n fhir.Node, depth int) {
	if depth > 3 {
		return
	}
	identifiers := func(t Type) {
		for i := range n.Get("identifier").Each() {
			f.add(t, i.Get("value").Str())
		}
	}
	switch n.ResourceType() {
	case "Bundle":
		for e := range n.Get("entry").Children() {
			f.resource(e.Get("resource"), depth+1)
		}
	case "Patient":
		identifiers(Patient)
		for name := range n.Get("name").Each() {
			if text := name.Get("text").Str(); text != "" {
				f.add(Name, text)
			} else {
				f.add(Name, name.Get("family").Str()+name.Path("given").First().Str())
			}
		}
	case "Encounter":
		identifiers(Visit)
	case "MedicationRequest":
		f.add(Prescription, n.Path("groupIdentifier", "value").Str())
	case "Claim", "ClaimResponse", "ExplanationOfBenefit", "Invoice":
		identifiers(Invoice)
	}
}

// xml looks at a document; one that is none for a strict reader, because its
// sender escapes nothing, is read as the SOAP door reads it.
func (f *finder) xml(body []byte, depth int) {
	if depth > maxDepth {
		return
	}
	if doc, err := xmlread.Parse(body, xmlread.Default()); err == nil {
		f.element(doc.Root, "", depth)
		return
	}
	text, _, err := charset.Decode(body, "")
	if err != nil {
		return
	}
	if root, err := soap.ParseXML(text); err == nil {
		f.unescaped(root, "", depth)
	}
}

func (f *finder) element(e *xmlread.Element, parent string, depth int) {
	if depth > maxDepth || len(f.found) >= maxKeys {
		return
	}
	f.text(parent, e.Name.Local, e.Text, len(e.Children) == 0, depth)
	for _, a := range e.Attrs {
		f.named(e.Name.Local, a.Local, a.Value)
	}
	for _, c := range e.Children {
		f.element(c, e.Name.Local, depth+1)
	}
}

func (f *finder) unescaped(e *soap.Element, parent string, depth int) {
	if depth > maxDepth || len(f.found) >= maxKeys {
		return
	}
	f.text(parent, e.Name, e.Text, len(e.Children) == 0, depth)
	for _, c := range e.Children {
		f.unescaped(c, e.Name, depth+1)
	}
}

// text adds an element's value, or looks into it if it is a document itself.
func (f *finder) text(parent, name, text string, leaf bool, depth int) {
	switch text = strings.TrimSpace(text); {
	case leaf && strings.HasPrefix(text, "<"):
		f.xml([]byte(text), depth+10)
	case leaf && strings.HasPrefix(text, "{"):
		f.json([]byte(text))
	case text != "":
		f.named(parent, name, text)
	}
}

func (f *finder) v2(body []byte) {
	m, _, err := hl7v2.Decode(body)
	if err != nil {
		return
	}
	f.add(Org, m.Get("MSH-4"))
	f.add(Patient, m.Get("PID-3"))
	f.add(Patient, m.Get("PID-2"))
	f.add(Name, m.Get("PID-5.1")+m.Get("PID-5.2"))
	f.add(Identity, m.Get("PID-19"))
	f.add(Visit, m.Get("PV1-19"))
	f.add(Visit, m.Get("PV1-50"))
	f.add(Prescription, m.Get("ORC-4"))
	f.add(Prescription, m.Get("ORC-2"))
}
