package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Searcher finds resources by a FHIR search query; *search.Engine is one.
type Searcher interface {
	IDs(ctx context.Context, ix search.Index, typ, query string, limit int) ([]string, error)
}

// Sink gives shared documents their effect: one FHIR transaction each. It is a
// [pipeline.Sink]; safe for concurrent use as long as messages of one key come in
// order.
type Sink struct {
	mapper  *bundle.Mapper
	store   store.Store
	search  Searcher
	encoder model.Encoder
}

// NewSink returns a sink that writes to st.
func NewSink(m *bundle.Mapper, st store.Store, s Searcher) *Sink {
	return &Sink{mapper: m, store: st, search: s}
}

// Handle maps m and commits it. See [pipeline.Sink] for the meaning of errors.
func (s *Sink) Handle(ctx context.Context, m *pipeline.Message) error {
	res, err := s.mapper.Read(m.Body, m.Charset)
	if err != nil {
		return err
	}
	snap, err := s.store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	w := &writing{sink: s, snap: snap, message: m, facts: res.Facts}
	if err := w.whose(ctx); err != nil {
		return err
	}
	s.mapper.Build(res)
	if err := w.write(res); err != nil || len(w.ops) == 0 {
		return err
	}
	_, err = s.store.Commit(ctx, &store.Transaction{ID: "cda-" + m.ID, Actor: m.Source, Time: m.Received.UTC().Truncate(time.Millisecond), Source: m.ID, Ops: w.ops})
	return err
}

// writing collects the ops of one document against one view of the store.
type writing struct {
	sink    *Sink
	snap    store.Snapshot
	message *pipeline.Message
	facts   *bundle.Facts
	ops     []store.Op
}

// whose finds the patient the hub knows already: by the visit, else by the
// identity card within the organisation.
func (w *writing) whose(ctx context.Context) error {
	f := w.facts
	if f.Encounter.VisitNo != "" {
		enc, ok, err := w.read("Encounter", tcm.EncounterID(f.Organization.Code, f.Encounter.VisitNo))
		if err != nil {
			return err
		}
		if id := tcm.ReadEncounter(enc).PatientID; ok && id != "" {
			f.Encounter.PatientID = id
			return nil
		}
	}
	if f.Patient.No != "" || f.Patient.NationalID == "" {
		return nil
	}
	ids, err := w.sink.search.IDs(ctx, w.snap.Index(), "Patient", "identifier="+tcm.SystemNationalID+"|"+f.Patient.NationalID, 20)
	if err != nil {
		return err
	}
	for _, id := range ids {
		p, ok, err := w.read("Patient", id)
		if err != nil {
			return err
		}
		if ok && tcm.ReadPatient(p).OrgCode == f.Organization.Code {
			f.Encounter.PatientID = id
			return nil
		}
	}
	return nil
}

// write makes the ops. The document's own resources replace those of its earlier
// version; what other doors told of people and of the visit stays as it is.
func (w *writing) write(res *bundle.Result) error {
	f := w.facts
	before, known, err := w.read("Composition", res.Resources[0].ID)
	if err != nil {
		return err
	}
	if known && older(f, before) {
		return nil
	}
	_, recorded, err := w.read("Composition", tcm.RecordID(f.Organization.Code, f.Encounter.VisitNo))
	if err != nil {
		return err
	}
	now := map[string]bool{}
	digest := sha256.New()
	for _, r := range res.Resources {
		now[r.Type+"/"+r.ID] = true
		body, err := w.sink.encoder.Marshal(r.Model)
		if err != nil {
			return err
		}
		digest.Write(body)
		if body, err = w.merge(r, body, recorded); err != nil {
			return err
		}
		if body != nil {
			w.ops = append(w.ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, SkipSame: true, Resource: body})
		}
	}
	w.remove(before, now)
	return w.provenance(hex.EncodeToString(digest.Sum(nil)))
}

// older reports whether the document is an earlier version than the one in place:
// by version number, else by its time.
func older(f *bundle.Facts, before fhir.Node) bool {
	var had string
	for e := range before.Get("extension").Each() {
		if strings.HasSuffix(e.Get("url").Str(), "versionNumber") {
			had = e.Get("valueString").Str()
		}
	}
	a, errA := strconv.Atoi(f.Version)
	b, errB := strconv.Atoi(had)
	if errA == nil && errB == nil && a != b {
		return a < b
	}
	x, errX := time.Parse(time.RFC3339, f.Time)
	y, errY := time.Parse(time.RFC3339, before.Get("date").Str())
	return errX == nil && errY == nil && x.Before(y)
}

// merge decides what becomes of a resource that may be known: nil = left as it is.
func (w *writing) merge(r tcm.Resource, body []byte, recorded bool) ([]byte, error) {
	switch {
	case r.Type == "Composition", r.Type == "PractitionerRole", strings.HasPrefix(r.ID, "de-"):
		return body, nil // the document's own
	}
	old, known, err := w.read(r.Type, r.ID)
	if err != nil || !known {
		return body, err
	}
	switch {
	case recorded, r.Type == "Organization", r.Type == "Practitioner", r.Type == "Patient", r.Type == "Coverage":
		return nil, nil // the HIS and the directory know more
	case r.Type == "Encounter":
		if !w.facts.Stay.Empty() {
			return body, nil // only documents of wards tell of the stay
		}
		return w.encounter(old)
	}
	return body, nil
}

// encounter keeps what an earlier document of the visit told and this one does not.
func (w *writing) encounter(old fhir.Node) ([]byte, error) {
	e, had := w.facts.Encounter, tcm.ReadEncounter(old)
	if e.VisitNo == "" {
		return nil, nil
	}
	if had.VisitType != "" && e.VisitType == "" {
		e.VisitType = had.VisitType
	}
	if e.Insurance == (tcm.Insurance{}) {
		e.Insurance = had.Insurance
	}
	if had.Class != "" && e.Class == "" {
		e.Class = had.Class
	}
	for _, d := range w.facts.Diagnoses {
		for _, kind := range d.Kinds() {
			e.Diagnoses = append(e.Diagnoses, d.ID(kind))
		}
	}
	if len(had.Diagnoses) > len(e.Diagnoses) {
		e.Diagnoses = had.Diagnoses
	}
	return w.sink.encoder.Marshal(e.Resources()[0].Model)
}

// remove deletes the data elements that the document's earlier version had and
// this one has not.
func (w *writing) remove(before fhir.Node, now map[string]bool) {
	for s := range before.Get("section").Each() {
		for e := range s.Get("entry").Each() {
			ref := e.Get("reference").Str()
			if typ, id, _ := strings.Cut(ref, "/"); typ == "Observation" && strings.HasPrefix(id, "de-") && !now[ref] {
				w.ops = append(w.ops, store.Op{Method: store.Delete, Type: typ, ID: id})
			}
		}
	}
}

// provenance says which message the document came with.
func (w *writing) provenance(digest string) error {
	f := w.facts
	p := tcm.Provenance{Visit: tcm.Visit{OrgCode: f.Organization.Code, EncounterID: tcm.EncounterID(f.Organization.Code, f.Encounter.VisitNo),
		PatientID: f.Encounter.PatientID, Time: w.message.Received.UTC().Format("2006-01-02T15:04:05.000Z07:00")},
		ContentID: digest, MessageID: w.message.ID, Source: w.message.Source}
	if _, known, err := w.read("Provenance", p.ID()); known || err != nil {
		return err
	}
	for _, r := range p.Resources() {
		body, err := w.sink.encoder.Marshal(r.Model)
		if err != nil {
			return err
		}
		w.ops = append(w.ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, SkipSame: true, Resource: body})
	}
	return nil
}

// read returns a current resource; ok is false if there is none.
func (w *writing) read(typ, id string) (n fhir.Node, ok bool, err error) {
	n, version, err := store.Current(w.snap, typ, id)
	return n, version > 0, err
}
