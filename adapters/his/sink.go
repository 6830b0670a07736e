package his

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// The kinds of message this package takes.
const (
	KindVisit = "his-visit"  // POST /ingest/his
	Kind01    = "tcm-his-01" // SOAP: patient and visit
	Kind02    = "tcm-his-02" // SOAP: one drug of the dictionary
)

// Shape is the name under which maps write visit documents.
const Shape = "Visit"

// mapVersion stands in the digest of a message's content, so that replaying old
// messages through a changed mapping takes effect.
const mapVersion = "1"

// Sink gives inbound messages of a township HIS their effect: one FHIR
// transaction each. It is a [pipeline.Sink]; safe for concurrent use as long as
// messages of one key come in order.
type Sink struct {
	store   store.Store
	decoder *Decoder
	zone    *time.Location
	missed  func(*pipeline.Message, []mapping.Unmapped)
	encoder model.Encoder
}

// NewSink returns a sink that writes to st.
func NewSink(cfg Config, st store.Store) *Sink {
	return &Sink{store: st, decoder: NewDecoder(cfg.Zone, cfg.UnknownCodes, cfg.Codes), zone: cfg.Zone, missed: cfg.Unmapped}
}

// Handle maps m and commits it. See [pipeline.Sink] for the meaning of errors.
func (s *Sink) Handle(ctx context.Context, m *pipeline.Message) error {
	return s.handle(ctx, m, "his-"+m.ID)
}

// Visit gives a visit document that a map made of m its effect: see [Shape].
func (s *Sink) Visit(ctx context.Context, m *pipeline.Message, document []byte) error {
	own := *m
	own.Kind, own.Body, own.Charset = KindVisit, document, ""
	sum := sha256.Sum256(document)
	return s.handle(ctx, &own, "his-"+m.ID+"-"+hex.EncodeToString(sum[:8]))
}

func (s *Sink) handle(ctx context.Context, m *pipeline.Message, id string) error {
	tx := &store.Transaction{ID: id, Actor: m.Source, Time: m.Received.UTC().Truncate(time.Millisecond), Source: m.ID}
	snap, err := s.store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	w := &writing{sink: s, snap: snap, message: m}
	switch m.Kind {
	case KindVisit:
		err = w.document(ctx)
	case Kind01:
		err = w.push01()
	case Kind02:
		err = w.push02()
	default:
		err = fault.New(fault.Unsupported, "不支持的消息种类 %s", m.Kind)
	}
	if err != nil {
		return err
	}
	if tx.Ops = w.ops; len(tx.Ops) == 0 {
		return nil
	}
	_, err = s.store.Commit(ctx, tx)
	return err
}

// writing collects the ops of one message against one view of the store.
type writing struct {
	sink    *Sink
	snap    store.Snapshot
	message *pipeline.Message
	ops     []store.Op
}

// document handles a visit document. Its own resources replace those of the
// visit's earlier document; an older document never replaces a newer one, and
// content that was once applied is never applied again.
func (w *writing) document(ctx context.Context) error {
	text, _, err := charset.Decode(w.message.Body, w.message.Charset)
	if err != nil {
		return err
	}
	doc, _, err := w.sink.decoder.Decode(ctx, text)
	if err != nil {
		if list := Unmapped(err); list != nil && w.sink.missed != nil {
			w.sink.missed(w.message, list)
		}
		return err
	}
	m := mapDocument(doc, w.sink.zone)
	digest, own, err := w.encode(m)
	if err != nil {
		return err
	}
	prov := tcm.Provenance{Visit: m.visit, ContentID: digest, MessageID: w.message.ID, Source: w.message.Source}
	prov.Time = w.message.Received.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	before, recorded, err := w.read("Composition", tcm.RecordID(doc.OrgCode, doc.VisitNo))
	if err != nil {
		return err
	}
	if before.Path("meta", "source").Str() > messageURI(w.message.ID) {
		return nil // a newer document of this visit is in place
	}
	if _, known, err := w.read("Provenance", prov.ID()); recorded && known || err != nil {
		return err
	}
	if err := w.people(m); err != nil {
		return err
	}
	if err := w.insured(m, own); err != nil {
		return err
	}
	w.ops = append(w.ops, own...)
	w.remove(before, m)
	return w.put("", prov.Resources()...)
}

// insured keeps how the visit was paid, which the push that opened it told and a
// document may leave out.
func (w *writing) insured(m *mapped, own []store.Op) error {
	if m.encounter.Insurance != (tcm.Insurance{}) {
		return nil
	}
	old, ok, err := w.read("Encounter", m.visit.EncounterID)
	if !ok || err != nil {
		return err
	}
	e := m.encounter
	if e.Insurance = tcm.ReadEncounter(old).Insurance; e.Insurance == (tcm.Insurance{}) {
		return nil
	}
	i := slices.IndexFunc(own, func(op store.Op) bool { return op.Type == "Encounter" })
	own[i].Resource, err = w.sink.encoder.Marshal(e.Resources()[0].Model)
	return err
}

// people writes what visits share, never undoing what is newer.
func (w *writing) people(m *mapped) error {
	at := mapping.Newer(w.businessTime(m), w.message.Received)
	d := m.doc
	p := m.patient()
	if old, ok, err := w.read("Patient", m.visit.PatientID); err != nil {
		return err
	} else if ok {
		p = p.Merge(tcm.ReadPatient(old))
	}
	if err := w.put(at, p.Resources()...); err != nil {
		return err
	}
	if err := w.directory(at, tcm.Organization{Code: d.OrgCode, Name: d.OrgName}.Resources()[0], d.OrgName); err != nil {
		return err
	}
	if d.Doctor.ID != "" {
		doctor := tcm.Practitioner{OrgCode: d.OrgCode, No: d.Doctor.ID, Name: d.Doctor.Name}.Resources()[0]
		if err := w.directory(at, doctor, d.Doctor.Name); err != nil {
			return err
		}
	}
	return w.put(at, m.coverage().Resources()...)
}

// directory writes an organisation or doctor only if it is new or renamed: the
// directory may know more of them than a visit does.
func (w *writing) directory(at string, r tcm.Resource, name string) error {
	old, known, err := w.read(r.Type, r.ID)
	if err != nil {
		return err
	}
	had := old.Get("name").Str()
	if had == "" {
		had = old.Path("name", "text").Str()
	}
	switch {
	case !known:
		return w.put(at, r)
	case name == "" || name == had:
		return nil
	}
	body, err := w.renamed(r)
	if err != nil {
		return err
	}
	w.write(at, r, body)
	return nil
}

// renamed is the stored resource with the name of r: the directory may know its
// level, address and superior, which a visit does not.
func (w *writing) renamed(r tcm.Resource) ([]byte, error) {
	v, err := w.snap.Read(r.Type, r.ID)
	if err != nil {
		return nil, err
	}
	var kept, fresh map[string]json.RawMessage
	if err := json.Unmarshal(v.Resource, &kept); err != nil {
		return nil, err
	}
	b, err := w.sink.encoder.Marshal(r.Model)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &fresh); err != nil {
		return nil, err
	}
	kept["name"] = fresh["name"]
	return json.Marshal(kept)
}

// businessTime is when the visit's facts were true: the latest time told in the
// document, not before the push that opened the visit, never in the future.
func (w *writing) businessTime(m *mapped) time.Time {
	last := m.doc.VisitTime.Time
	later := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	for t := range m.doc.times() {
		later(t.Time)
	}
	if enc, ok, _ := w.read("Encounter", m.visit.EncounterID); ok {
		if t, err := time.Parse(time.RFC3339, tcm.ReadEncounter(enc).Start); err == nil {
			later(t)
		}
	}
	if last.After(w.message.Received) {
		last = w.message.Received
	}
	return last
}

// encode encodes the visit's own resources and digests the whole content.
func (w *writing) encode(m *mapped) (digest string, own []store.Op, err error) {
	h := sha256.New()
	h.Write([]byte(mapVersion))
	var buf []byte
	for _, r := range m.shared {
		if buf, err = w.sink.encoder.Append(buf[:0], r.Model); err != nil {
			return "", nil, err
		}
		h.Write(buf)
	}
	own = make([]store.Op, 0, len(m.own))
	for _, r := range m.own {
		body, err := w.sink.encoder.Marshal(r.Model)
		if err != nil {
			return "", nil, err
		}
		h.Write(body)
		if r.Type == "Composition" {
			body = stamp(body, w.message.ID)
		}
		own = append(own, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, SkipSame: true, Resource: body})
	}
	return hex.EncodeToString(h.Sum(nil)), own, nil
}

func messageURI(id string) string { return "urn:qihuang:message:" + id }

// stamp puts the message into meta.source of an encoded Composition: the next
// document of the visit sees which one it follows.
func stamp(body []byte, id string) []byte {
	const head = `{"resourceType":"Composition",`
	out := append([]byte(nil), head...)
	out = append(out, `"meta":{"source":`...)
	out = fhir.AppendString(out, messageURI(id))
	return append(append(out, `},`...), body[len(head):]...)
}

// remove deletes the parts that the visit's earlier document had and this one
// has not.
func (w *writing) remove(before fhir.Node, m *mapped) {
	if !before.Exists() {
		return
	}
	now := make(map[string]bool, len(m.own))
	for _, r := range m.own {
		now[r.Type+"/"+r.ID] = true
	}
	for _, e := range tcm.ReadRecord(before).Entries {
		typ, id, ok := cut(e)
		if !ok || now[e] {
			continue
		}
		w.ops = append(w.ops, store.Op{Method: store.Delete, Type: typ, ID: id})
		if typ == "MedicationRequest" {
			if _, ok, _ := w.read("Medication", id); ok && !now["Medication/"+id] {
				w.ops = append(w.ops, store.Op{Method: store.Delete, Type: "Medication", ID: id})
			}
		}
	}
}

// put appends updates of resources, conditional on at if it is not "".
func (w *writing) put(at string, rs ...tcm.Resource) error {
	for _, r := range rs {
		body, err := w.sink.encoder.Marshal(r.Model)
		if err != nil {
			return err
		}
		w.write(at, r, body)
	}
	return nil
}

func (w *writing) write(at string, r tcm.Resource, body []byte) {
	w.ops = append(w.ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, IfNewer: at, SkipSame: true, Resource: body})
}

// read returns a current resource; ok is false if there is none.
func (w *writing) read(typ, id string) (n fhir.Node, ok bool, err error) {
	n, version, err := store.Current(w.snap, typ, id)
	return n, version > 0, err
}

func cut(reference string) (typ, id string, ok bool) {
	for i := range len(reference) {
		if reference[i] == '/' {
			return reference[:i], reference[i+1:], i > 0 && i+1 < len(reference)
		}
	}
	return "", "", false
}
