package bulk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// perFile is how many resources one file holds at most.
const perFile = 200_000

// export is one export on its way: all of it shows one state of the repository.
type export struct {
	s     *server.Server
	r     *server.Request
	req   *exportRequest
	files Files
	id    string

	rec      *record // nil until the first run begins
	snap     store.Snapshot
	parser   fhir.Parser
	progress func(string)
	out      *manifest
	total    int
}

func (x *export) run(ctx context.Context, progress func(string)) (any, error) {
	snap, err := x.s.Snapshot(ctx, x.r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	x.snap, x.progress = snap, progress
	out, err := x.all(ctx)
	if st, gerr := x.s.Jobs().Get(x.id); err != nil && gerr == nil && st.State == jobs.Cancelled { // by its owner, not by the hub's end
		err = errors.Join(err, x.files.Remove(context.WithoutCancel(ctx), x.id))
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// all writes the types not written yet, and the record after each.
func (x *export) all(ctx context.Context) (*manifest, error) {
	if x.rec == nil {
		if err := sweep(ctx, x.s, x.files); err != nil {
			return nil, err
		}
		x.out = &manifest{TransactionTime: x.s.Now().Format("2006-01-02T15:04:05.000Z"), Request: x.r.Base + "/" + x.address(),
			Output: []output{}, Deleted: []output{}, Error: []output{}, files: x.files, id: x.id}
		x.rec = &record{Actor: x.r.Actor, Base: x.r.Base, Type: x.r.Type, ID: x.r.Target.ID, Query: x.r.Query, Body: x.r.Body, Offset: x.snap.Offset(), Started: x.s.Now(), Manifest: x.out}
		if err := x.rec.save(ctx, x.files, x.id); err != nil {
			return nil, err
		}
	}
	if x.req.group != "" {
		if err := x.members(); err != nil {
			return nil, err
		}
	}
	for _, typ := range x.req.types {
		w := &lineWriter{x: x, ctx: ctx, typ: typ}
		if err := w.end(x.exportType(ctx, typ, w)); err != nil {
			return nil, err
		}
		if x.req.since != "" {
			d := &lineWriter{x: x, ctx: ctx, typ: "Bundle", prefix: typ + ".deleted"}
			if err := d.end(x.deleted(ctx, typ, d)); err != nil {
				return nil, err
			}
		}
		x.rec.Types = append(x.rec.Types, typ)
		if w.part > 0 || x.req.since != "" { // what wrote nothing is soon done again
			if err := x.rec.save(ctx, x.files, x.id); err != nil {
				return nil, err
			}
		}
	}
	x.rec.Ended = x.s.Now()
	return x.out, x.rec.save(ctx, x.files, x.id)
}

// address is the request's own URL below the base.
func (x *export) address() string {
	a := "$export"
	if x.r.Type != "" {
		a = x.r.Type + "/" + strings.TrimPrefix(x.r.Target.ID+"/", "/") + a
	}
	if x.r.Query != "" {
		a += "?" + x.r.Query
	}
	return a
}

// members reads the patients of the group.
func (x *export) members() error {
	v, err := x.snap.Read("Group", x.req.group)
	if err != nil {
		return err
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return err
	}
	x.req.patients = []string{} // a group without patients exports nothing
	for m := range tree.Root().Get("member").Each() {
		ref := fhir.ParseReference(m.Path("entity", "reference").Str())
		if inactive, _ := m.Get("inactive").Bool(); ref.Type == "Patient" && !inactive {
			x.req.patients = append(x.req.patients, ref.ID)
		}
	}
	return nil
}

// exportType writes the resources of one type: of everyone, or patient by patient.
func (x *export) exportType(ctx context.Context, typ string, w *lineWriter) error {
	filters := x.req.filters[typ]
	if len(filters) == 0 {
		filters = []string{""}
	}
	seen := map[string]bool{} // only filled where one resource can be met twice
	for _, f := range filters {
		base := search.Request{Type: typ, Query: x.query(f)}
		if x.req.patients == nil {
			if err := x.find(ctx, base, w, seen, len(filters) > 1); err != nil {
				return err
			}
			continue
		}
		for _, p := range x.req.patients {
			one := base
			one.Compartment = &search.Compartment{Type: "Patient", ID: p}
			if typ == "Patient" {
				one.Compartment, one.Query = nil, one.Query+"&_id="+url.QueryEscape(p)
			}
			if err := x.find(ctx, one, w, seen, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// query adds the limits of time to a filter.
func (x *export) query(filter string) string {
	q := "_count=1000&_total=none"
	if filter != "" {
		q = filter + "&" + q
	}
	if x.req.since != "" {
		q += "&_lastUpdated=gt" + url.QueryEscape(x.req.since)
	}
	if x.req.until != "" {
		q += "&_lastUpdated=le" + url.QueryEscape(x.req.until)
	}
	return q
}

func (x *export) find(ctx context.Context, req search.Request, w *lineWriter, seen map[string]bool, twice bool) error {
	for {
		page, err := x.s.Find(ctx, x.snap, req)
		if err != nil {
			return err
		}
		for _, m := range page.Matches {
			if m.Mode != search.ModeMatch || twice && seen[m.ID] {
				continue
			}
			if twice {
				seen[m.ID] = true
			}
			if err := x.resource(m.Type, m.ID, w); err != nil {
				return err
			}
		}
		if req.Cursor = page.Next; req.Cursor == "" {
			return nil
		}
	}
}

func (x *export) resource(typ, id string, w *lineWriter) error {
	v, err := x.snap.Read(typ, id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return nil
	}
	if err != nil {
		return err
	}
	tree, err := x.parser.Parse(v.Resource)
	if err != nil {
		return err
	}
	if x.req.patient && x.req.patients == nil && typ != "Patient" && !ofPatient(tree.Root()) {
		return nil
	}
	body := v.Resource
	if e := strings.TrimPrefix(x.req.elements[""]+","+x.req.elements[typ], ","); strings.Trim(e, ",") != "" {
		if body, err = x.s.Elements(body, e); err != nil {
			return err
		}
	}
	return w.line(body)
}

// ofPatient reports whether a resource refers to a patient.
func ofPatient(n fhir.Node) bool {
	for c := range n.Children() {
		switch c.Kind() {
		case fhir.Object, fhir.Array:
			if ofPatient(c) {
				return true
			}
		case fhir.String:
			if c.Key() == "reference" && fhir.ParseReference(c.Str()).Type == "Patient" {
				return true
			}
		}
	}
	return false
}

// deleted writes a Bundle for each resource of the type deleted since _since.
func (x *export) deleted(ctx context.Context, typ string, w *lineWriter) error {
	since, err := time.Parse(time.RFC3339, x.req.since)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for ch, err := range x.snap.History(store.HistoryQuery{Type: typ, Since: since}) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if seen[ch.ID] {
			continue
		}
		seen[ch.ID] = true
		if !ch.Deleted() {
			continue
		}
		err := w.line(fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"%s/%s"}}]}`, ch.Type, ch.ID))
		if err != nil {
			return err
		}
	}
	return nil
}

// lineWriter writes the files of one type; none if nothing is written.
type lineWriter struct {
	x      *export
	ctx    context.Context
	typ    string
	prefix string // of the file name; default the type
	part   int
	n      int
	f      io.WriteCloser
	buf    *bufio.Writer
}

// line writes one resource, without line breaks of its own.
func (w *lineWriter) line(body []byte) error {
	if w.f == nil || w.n == perFile {
		if err := w.next(); err != nil {
			return err
		}
	}
	for _, c := range body {
		if c == '\n' || c == '\r' { // outside strings these are only layout
			c = ' '
		}
		if err := w.buf.WriteByte(c); err != nil {
			return err
		}
	}
	w.n++
	if w.x.total++; w.x.total%1000 == 0 {
		w.x.progress(fmt.Sprintf("%s, %d resources", w.typ, w.x.total))
	}
	return w.buf.WriteByte('\n')
}

func (w *lineWriter) next() error {
	if err := w.shut(); err != nil {
		return err
	}
	if w.prefix == "" {
		w.prefix = w.typ
	}
	w.part++
	f, err := w.x.files.Create(w.ctx, w.x.id+"/"+w.name())
	if err != nil {
		return err
	}
	w.f, w.n = f, 0
	w.buf = bufio.NewWriterSize(f, 256<<10)
	return nil
}

func (w *lineWriter) name() string { return fmt.Sprintf("%s.%d.ndjson", w.prefix, w.part) }

// shut ends the open file and lists it.
func (w *lineWriter) shut() error {
	if w.f == nil {
		return nil
	}
	err := w.buf.Flush()
	if cerr := w.f.Close(); err == nil {
		err = cerr
	}
	w.f = nil
	o := output{Type: w.typ, URL: w.name(), Count: w.n}
	if strings.HasSuffix(w.prefix, ".deleted") {
		w.x.out.Deleted = append(w.x.out.Deleted, o)
	} else {
		w.x.out.Output = append(w.x.out.Output, o)
	}
	return err
}

// end closes the last file after err.
func (w *lineWriter) end(err error) error {
	if serr := w.shut(); err == nil {
		err = serr
	}
	return err
}
