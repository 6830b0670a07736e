// Package bundle writes Bundles as bytes: the resources go in as the store holds
// them, never parsed again (https://hl7.org/fhir/R4/bundle.html).
package bundle

import (
	"io"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// Writer is a Bundle being written.
type Writer struct {
	b       []byte
	entries int
}

// Link is a Bundle.link.
type Link struct{ Relation, URL string }

// New begins a Bundle. total < 0 leaves it out.
func New(typ, id string, now time.Time, total int64, links ...Link) *Writer {
	b := make([]byte, 0, 4096)
	b = append(b, `{"resourceType":"Bundle","id":`...)
	b = fhir.AppendString(b, id)
	b = append(b, `,"meta":{"lastUpdated":"`...)
	b = append(b, Instant(now)...)
	b = append(b, `"},"type":"`...)
	b = append(b, typ...)
	b = append(b, '"')
	if total >= 0 {
		b = append(b, `,"total":`...)
		b = strconv.AppendInt(b, total, 10)
	}
	for i, l := range links {
		if i == 0 {
			b = append(b, `,"link":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"relation":"`...)
		b = append(b, l.Relation...)
		b = append(b, `","url":`...)
		b = append(fhir.AppendString(b, l.URL), '}')
	}
	if len(links) > 0 {
		b = append(b, ']')
	}
	return &Writer{b: b}
}

// Open begins an entry.
func (w *Writer) Open() {
	if w.entries == 0 {
		w.b = append(w.b, `,"entry":[{`...)
	} else {
		w.b = append(w.b, `,{`...)
	}
	w.entries++
}

// member begins a member of the open entry.
func (w *Writer) member(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, `":`...)
}

// FullURL writes the absolute URL of a resource without its version.
func (w *Writer) FullURL(base, typ, id string) {
	w.member("fullUrl")
	w.b = append(w.b, '"')
	w.b = append(w.b, base...)
	w.b = append(w.b, '/')
	w.b = append(w.b, typ...)
	w.b = append(w.b, '/')
	w.b = append(w.b, id...)
	w.b = append(w.b, '"')
}

// Resource writes the entry's resource.
func (w *Writer) Resource(json []byte) {
	w.member("resource")
	w.b = append(w.b, json...)
}

// Response begins the entry's response with its status.
func (w *Writer) Response(status int) {
	w.member("response")
	w.b = append(w.b, `{"status":"`...)
	w.b = append(w.b, statusLine(status)...)
	w.b = append(w.b, '"')
}

// Version writes location, etag and lastModified of a response.
func (w *Writer) Version(base string, v *store.Version) {
	if base != "" && !v.Deleted() {
		w.b = append(w.b, `,"location":"`...)
		w.b = append(w.b, Location(base, v)...)
		w.b = append(w.b, '"')
	}
	w.b = append(w.b, `,"etag":"W/\"`...)
	w.b = strconv.AppendInt(w.b, v.Version, 10)
	w.b = append(w.b, `\"","lastModified":"`...)
	w.b = append(w.b, Instant(v.LastUpdated)...)
	w.b = append(w.b, '"')
}

// Outcome writes the OperationOutcome of a response.
func (w *Writer) Outcome(json []byte) {
	w.b = append(w.b, `,"outcome":`...)
	w.b = append(w.b, json...)
}

// Shut ends a response or an entry.
func (w *Writer) Shut() { w.b = append(w.b, '}') }

// End ends the Bundle and returns it.
func (w *Writer) End() []byte {
	if w.entries > 0 {
		w.b = append(w.b, ']')
	}
	return append(w.b, '}')
}

// statusLine is an HTTP status as Bundle.entry.response.status shows it.
func statusLine(status int) string {
	switch status {
	case 200:
		return "200 OK"
	case 201:
		return "201 Created"
	case 204:
		return "204 No Content"
	case 304:
		return "304 Not Modified"
	}
	return strconv.Itoa(status)
}

// Entry writes a whole search entry; mode is match, include or outcome, "" for
// a Bundle that is no search.
func (w *Writer) Entry(base, typ, id string, json []byte, mode string) {
	w.Open()
	w.FullURL(base, typ, id)
	w.Resource(json)
	if mode != "" {
		w.Mode(mode, 0)
	}
	w.Shut()
}

// Graded writes a match of $match with its score from 0 to 1 and its grade:
// certain, probable, possible or certainly-not (extension match-grade).
func (w *Writer) Graded(base, typ, id string, json []byte, score float64, grade string) {
	w.Open()
	w.FullURL(base, typ, id)
	w.Resource(json)
	w.member("search")
	w.b = append(w.b, `{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"`+grade+`"}],"mode":"match","score":`...)
	w.b = append(strconv.AppendFloat(w.b, score, 'f', 2, 64), '}')
	w.Shut()
}

// Flush writes what there is so far, so that a long Bundle need not be held.
func (w *Writer) Flush(to io.Writer) error {
	_, err := to.Write(w.b)
	w.b = w.b[:0]
	return err
}

// NewDocument begins a Bundle of type document with its identifier.
func NewDocument(id, identifier string, now time.Time) *Writer {
	w := New("document", id, now, -1)
	w.b = append(w.b, `,"identifier":{"system":"urn:ietf:rfc:3986","value":`...)
	w.b = fhir.AppendString(w.b, identifier)
	w.b = append(w.b, `},"timestamp":"`...)
	w.b = append(append(w.b, Instant(now)...), '"')
	return w
}

// Mode writes why a resource is on the page, and its score if it has one.
func (w *Writer) Mode(m string, score float64) {
	w.member("search")
	w.b = append(w.b, `{"mode":"`...)
	w.b = append(append(w.b, m...), '"')
	if score > 0 {
		w.b = strconv.AppendFloat(append(w.b, `,"score":`...), score, 'g', 4, 64)
	}
	w.b = append(w.b, '}')
}

// Request writes what made a version, with a relative URL.
func (w *Writer) Request(v *store.Version) {
	w.member("request")
	w.b = append(w.b, `{"method":"`...)
	w.b = append(w.b, v.Method...)
	w.b = append(w.b, `","url":"`...)
	w.b = append(w.b, v.Type...)
	if v.Method != store.Create {
		w.b = append(w.b, '/')
		w.b = append(w.b, v.ID...)
	}
	w.b = append(w.b, `"}`...)
}

// Instant formats t as a FHIR instant in UTC with milliseconds.
func Instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// Location is the versioned URL of v.
func Location(base string, v *store.Version) string {
	b := make([]byte, 0, len(base)+len(v.Type)+len(v.ID)+24)
	b = append(b, base...)
	b = append(b, '/')
	b = append(b, v.Type...)
	b = append(b, '/')
	b = append(b, v.ID...)
	b = append(b, "/_history/"...)
	return string(strconv.AppendInt(b, v.Version, 10))
}
