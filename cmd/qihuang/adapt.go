package main

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/xml"
)

// searcher lets the REST server use the search engine.
type searcher struct {
	*search.Engine
	zone *time.Location
}

// Search implements server.Searcher.
func (s searcher) Search(ctx context.Context, ix search.Index, q server.Query) (*server.Found, error) {
	req := search.Request{Type: q.Type, Query: q.Raw, Lenient: q.Lenient, Count: q.Count, Cursor: q.Cursor, Now: q.Now, Zone: s.zone}
	if typ, id, ok := strings.Cut(q.Compartment, "/"); ok {
		req.Compartment = &search.Compartment{Type: typ, ID: id}
	}
	if q.Count == 0 {
		req.Query = strings.TrimPrefix(req.Query+"&_count=0", "&")
	}
	page, err := s.Engine.Search(ctx, ix, req)
	if err != nil {
		return nil, err
	}
	found := &server.Found{Total: -1, Next: page.Next, Self: encode(page.Applied), Issues: page.Ignored, Hits: make([]server.Hit, len(page.Matches))}
	if page.Total != nil {
		found.Total = *page.Total
	}
	for i, m := range page.Matches {
		found.Hits[i] = server.Hit{Type: m.Type, ID: m.ID, Included: m.Mode != search.ModeMatch}
	}
	return found, nil
}

// encode writes name=value pairs as a query string that reads like the one sent.
func encode(pairs []string) string {
	keep := strings.NewReplacer("%3A", ":", "%2C", ",", "%7C", "|", "%2F", "/", "%24", "$")
	out := make([]string, len(pairs))
	for i, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		out[i] = keep.Replace(url.QueryEscape(name)) + "=" + keep.Replace(url.QueryEscape(value))
	}
	return strings.Join(out, "&")
}

// xmlCodec converts resources with the R4 definitions.
type xmlCodec struct{ model *definitions.Model }

// ToJSON implements server.XML.
func (x xmlCodec) ToJSON(b []byte) ([]byte, error) { return xml.ToJSON(x.model, b) }

// FromJSON implements server.XML.
func (x xmlCodec) FromJSON(b []byte) ([]byte, error) { return xml.FromJSON(x.model, b) }
