package cda

import (
	"slices"
	"strings"
)

// Statements lists what a document says, one line per value, sorted: two documents
// that say the same give the same list, whatever the order of their entries.
func Statements(d *Document) []string {
	var out []string
	say := func(path string, values ...string) {
		if v := strings.TrimSpace(strings.Join(values, " ")); v != "" {
			out = append(out, path+" = "+v)
		}
	}
	p := &d.Patient
	for _, id := range p.IDs {
		say("id", id.Root, id.Extension)
	}
	for _, id := range p.Numbers {
		say("number", id.Root, id.Extension)
	}
	say("patient", p.Name, p.Gender.Code, p.BirthTime, p.Age, p.Phone, p.Address, p.Postcode, p.Marital.Code, p.Ethnicity.Code, p.Department.Name, p.Organization.ID.Extension)
	say("document", d.Template, d.TemplateID, d.ID.Extension, d.SetID.Extension, d.Version, d.Title, d.Time, d.Custodian.ID.Extension, d.Custodian.Name)
	say("stay", d.Stay.Start, d.Stay.End)
	for _, o := range d.Stay.Places {
		say("place", o.ID.Root, o.ID.Extension, o.Name)
	}
	for _, a := range d.Authors {
		say("author", a.Time, a.ID.Extension, a.Name)
	}
	for _, s := range d.Signers {
		say("signer", s.Time, s.ID.Extension, s.Role, s.Name)
	}
	var entry func(section string, e *Entry)
	entry = func(section string, e *Entry) {
		c := e.Value.Code
		say(section+" "+e.Code.Code+" "+e.Name(), e.Value.Text, e.Value.Unit, c.Code, c.System, words(c), e.Value.NullFlavor, e.Text, e.Time)
		if m := e.Medicine; m != nil {
			say(section+" drug", m.Name, m.Code.Code, m.Dose.Text, m.Dose.Unit, m.Route.Code, m.Form.Code, words(m.Frequency))
		}
		for i := range e.Parts {
			entry(section, &e.Parts[i])
		}
	}
	for i := range d.Sections {
		for j := range d.Sections[i].Entries {
			entry(first(d.Sections[i].Code.Code, d.Sections[i].Title), &d.Sections[i].Entries[j])
		}
	}
	slices.Sort(out)
	return out
}

// words is the best text of a code.
func words(c Code) string { return first(c.Display, c.Original) }

// Missing are the statements of a that b does not make.
func Missing(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}
