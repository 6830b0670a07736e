package server

import (
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// bundle is a Bundle being written as bytes: the resources go in as the store
// holds them.
type bundle struct {
	b       []byte
	entries int
}

// link is a Bundle.link.
type link struct{ relation, url string }

// newBundle begins a Bundle. total < 0 leaves it out.
func newBundle(typ, id string, now time.Time, total int64, links ...link) *bundle {
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
		b = append(b, l.relation...)
		b = append(b, `","url":`...)
		b = append(fhir.AppendString(b, l.url), '}')
	}
	if len(links) > 0 {
		b = append(b, ']')
	}
	return &bundle{b: b}
}

// open begins an entry.
func (w *bundle) open() {
	if w.entries == 0 {
		w.b = append(w.b, `,"entry":[{`...)
	} else {
		w.b = append(w.b, `,{`...)
	}
	w.entries++
}

// member begins a member of the open entry.
func (w *bundle) member(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, `":`...)
}

// fullURL writes the absolute URL of a resource without its version.
func (w *bundle) fullURL(base, typ, id string) {
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
func (w *bundle) resource(json []byte) {
	w.member("resource")
	w.b = append(w.b, json...)
}

// response begins the entry's response with its status.
func (w *bundle) response(status int) {
	w.member("response")
	w.b = append(w.b, `{"status":"`...)
	w.b = append(w.b, statusLine(status)...)
	w.b = append(w.b, '"')
}

// version writes location, etag and lastModified of a response.
func (w *bundle) version(base string, v *store.Version) {
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
func (w *bundle) outcome(json []byte) {
	w.b = append(w.b, `,"outcome":`...)
	w.b = append(w.b, json...)
}

// shut ends a response or an entry.
func (w *bundle) shut() { w.b = append(w.b, '}') }

// end ends the Bundle and returns it.
func (w *bundle) end() []byte {
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
