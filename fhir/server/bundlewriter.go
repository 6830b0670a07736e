package server

import (
	"io"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// Bundle is a Bundle being written as bytes: the resources go in as the store
// holds them.
type Bundle struct {
	b       []byte
	entries int
}

// Link is a Bundle.link.
type Link struct{ Relation, URL string }

// NewBundle begins a Bundle. total < 0 leaves it out.
func NewBundle(typ, id string, now time.Time, total int64, links ...Link) *Bundle {
	b := make([]byte, 0, 4096)
	b = append(b, `{"resourceType":"Bundle","id":`...)
	b = fhir.AppendString(b, id)
	b = append(b, `,"meta":{"lastUpdated":"`...)
	b = append(b, instant(now)...)
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
	return &Bundle{b: b}
}

// open begins an entry.
func (w *Bundle) open() {
	if w.entries == 0 {
		w.b = append(w.b, `,"entry":[{`...)
	} else {
		w.b = append(w.b, `,{`...)
	}
	w.entries++
}

// member begins a member of the open entry.
func (w *Bundle) member(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, `":`...)
}

// fullURL writes the absolute URL of a resource without its version.
func (w *Bundle) fullURL(base, typ, id string) {
	w.member("fullUrl")
	w.b = append(w.b, '"')
	w.b = append(w.b, base...)
	w.b = append(w.b, '/')
	w.b = append(w.b, typ...)
	w.b = append(w.b, '/')
	w.b = append(w.b, id...)
	w.b = append(w.b, '"')
}

// resource writes the entry's resource.
func (w *Bundle) resource(json []byte) {
	w.member("resource")
	w.b = append(w.b, json...)
}

// response begins the entry's response with its status.
func (w *Bundle) response(status int) {
	w.member("response")
	w.b = append(w.b, `{"status":"`...)
	w.b = append(w.b, statusLine(status)...)
	w.b = append(w.b, '"')
}

// version writes location, etag and lastModified of a response.
func (w *Bundle) version(base string, v *store.Version) {
	if base != "" && !v.Deleted() {
		w.b = append(w.b, `,"location":"`...)
		w.b = append(w.b, location(base, v)...)
		w.b = append(w.b, '"')
	}
	w.b = append(w.b, `,"etag":"W/\"`...)
	w.b = strconv.AppendInt(w.b, v.Version, 10)
	w.b = append(w.b, `\"","lastModified":"`...)
	w.b = append(w.b, instant(v.LastUpdated)...)
	w.b = append(w.b, '"')
}

// outcome writes the OperationOutcome of a response.
func (w *Bundle) outcome(json []byte) {
	w.b = append(w.b, `,"outcome":`...)
	w.b = append(w.b, json...)
}

// shut ends a response or an entry.
func (w *Bundle) shut() { w.b = append(w.b, '}') }

// End ends the Bundle and returns it.
func (w *Bundle) End() []byte {
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
func (w *Bundle) Entry(base, typ, id string, json []byte, mode string) {
	w.open()
	w.fullURL(base, typ, id)
	w.resource(json)
	if mode != "" {
		w.mode(mode, 0)
	}
	w.shut()
}

// Graded writes a match of $match with its score from 0 to 1 and its grade:
// certain, probable, possible or certainly-not (extension match-grade).
func (w *Bundle) Graded(base, typ, id string, json []byte, score float64, grade string) {
	w.open()
	w.fullURL(base, typ, id)
	w.resource(json)
	w.member("search")
	w.b = append(w.b, `{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"`+grade+`"}],"mode":"match","score":`...)
	w.b = append(strconv.AppendFloat(w.b, score, 'f', 2, 64), '}')
	w.shut()
}

// Flush writes what there is so far, so that a long Bundle need not be held.
func (w *Bundle) Flush(to io.Writer) error {
	_, err := to.Write(w.b)
	w.b = w.b[:0]
	return err
}

// NewDocument begins a Bundle of type document with its identifier.
func NewDocument(id, identifier string, now time.Time) *Bundle {
	w := NewBundle("document", id, now, -1)
	w.b = append(w.b, `,"identifier":{"system":"urn:ietf:rfc:3986","value":`...)
	w.b = fhir.AppendString(w.b, identifier)
	w.b = append(w.b, `},"timestamp":"`...)
	w.b = append(append(w.b, instant(now)...), '"')
	return w
}
