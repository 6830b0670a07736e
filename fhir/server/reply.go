package server

import (
	"io"
	"net/http"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir/store"
)

// Reply is the answer to an interaction. Of the bodies at most one is set.
type Reply struct {
	Status   int            // default 200
	Version  *store.Version // gives ETag and Last-Modified, and the body unless NoBody
	NoBody   bool
	Body     []byte                // FHIR JSON
	Stream   func(io.Writer) error // writes FHIR JSON, or with ContentType set that
	Native   []byte                // other content, of type ContentType
	Location string                // absolute URL
	Offset   int64                 // log position of the state answered from
	Header   http.Header           // more header fields
	Close    func()                // releases what Stream reads from; called once, always

	ContentType string
}

// ok answers 200 with JSON.
func ok(json []byte) *Reply { return &Reply{Body: json} }

// json returns the body of a reply that does not stream, nil if it has none.
func (p *Reply) json() []byte {
	switch {
	case p.NoBody:
		return nil
	case p.Body != nil:
		return p.Body
	case p.Version != nil:
		return p.Version.Resource
	}
	return nil
}

// status returns the HTTP status.
func (p *Reply) status() int {
	if p.Status != 0 {
		return p.Status
	}
	return http.StatusOK
}

// done releases the reply.
func (p *Reply) done() {
	if p != nil && p.Close != nil {
		p.Close()
	}
}

// etag returns the weak entity tag of a version.
func etag(version int64) string {
	b := append(make([]byte, 0, 24), `W/"`...)
	b = strconv.AppendInt(b, version, 10)
	return string(append(b, '"'))
}
