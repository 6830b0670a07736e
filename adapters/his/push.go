package his

import (
	"time"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/charset"
)

// inner decodes a SOAP request's body down to the message it carries.
func inner(body []byte, declared string, zone *time.Location) (*soap.Call, *tcmMessage, error) {
	text, _, err := charset.Decode(body, declared)
	if err != nil {
		return &soap.Call{}, nil, err
	}
	call, err := soap.Parse(text)
	if err != nil {
		return &soap.Call{}, nil, err
	}
	m, err := parseTCM(call.First(), zone)
	return call, m, err
}

// push01 writes the patient and opens the visit. To one with a document, which
// knows more, it only adds how it is paid.
func (w *writing) push01() error {
	_, m, err := inner(w.message.Body, w.message.Charset, w.sink.zone)
	if err != nil {
		return err
	}
	p, err := read01(m)
	if err != nil {
		return err
	}
	when := p.sent
	if when.IsZero() || when.After(w.message.Received) {
		when = w.message.Received
	}
	at := mapping.Newer(when, w.message.Received)
	pid := tcm.PatientID(p.org, p.patient.No)
	old, ok, err := w.read("Patient", pid)
	if err != nil {
		return err
	}
	if ok {
		p.patient = p.patient.Merge(tcm.ReadPatient(old))
	}
	if err := w.put(at, p.patient.Resources()...); err != nil {
		return err
	}
	if err := w.directory(at, tcm.Organization{Code: p.org}.Resources()[0], ""); err != nil {
		return err
	}
	if err := w.put(at, tcm.Coverage{OrgCode: p.org, PatientID: pid, Insurance: p.insurance}.Resources()...); err != nil {
		return err
	}
	if _, documented, err := w.read("Composition", tcm.RecordID(p.org, p.visitNo)); err != nil {
		return err
	} else if documented {
		return w.insure(p)
	}
	return w.put(at, tcm.Encounter{OrgCode: p.org, VisitNo: p.visitNo, Status: "in-progress",
		Start: when.In(w.sink.zone).Format(time.RFC3339), PatientID: pid, PatientName: p.patient.Name, Insurance: p.insurance}.Resources()...)
}

// insure adds how the visit is paid to one whose document did not tell.
func (w *writing) insure(p *push01) error {
	old, ok, err := w.read("Encounter", tcm.EncounterID(p.org, p.visitNo))
	if !ok || err != nil {
		return err
	}
	e := tcm.ReadEncounter(old)
	if e.Insurance != (tcm.Insurance{}) || p.insurance == (tcm.Insurance{}) {
		return nil
	}
	e.Insurance = p.insurance
	return w.put("", e.Resources()...)
}

// push02 writes one drug of the dictionary.
func (w *writing) push02() error {
	_, m, err := inner(w.message.Body, w.message.Charset, w.sink.zone)
	if err != nil {
		return err
	}
	d, err := read02(m)
	if err != nil {
		return err
	}
	when := m.sent
	if when.IsZero() || when.After(w.message.Received) {
		when = w.message.Received
	}
	return w.put(mapping.Newer(when, w.message.Received), d.Resources()...)
}
