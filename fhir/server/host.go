package server

import (
	"context"
	"net/url"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// Request is one interaction; see [rest.Request].
type Request = rest.Request

// What operations need of the server they run in.

// Snapshot pins a state no older than the client asked for.
func (s *Server) Snapshot(ctx context.Context, r *Request) (store.Snapshot, error) {
	return s.snapshot(ctx, r)
}

// PageToken makes the token by which an operation's client asks for another page
// of a state; the client cannot change it. place is the operation's own.
func (s *Server) PageToken(snap store.Snapshot, query, place string) string {
	pin(snap, true)
	return s.pages.seal("", query, cursor{offset: snap.Offset(), total: -1, place: place})
}

// OpenPage pins the state of a token made for the same query and returns its
// place. Errors: Invalid for a token that is none, Gone for a state no longer kept.
func (s *Server) OpenPage(ctx context.Context, query, token string) (store.Snapshot, string, error) {
	cur, err := s.pages.open("", query, token)
	if err != nil {
		return nil, "", err
	}
	snap, err := s.parts.Store.SnapshotAt(ctx, cur.offset)
	return snap, cur.place, gone(err)
}

// Find runs a search on a state.
func (s *Server) Find(ctx context.Context, snap store.Snapshot, req search.Request) (*search.Page, error) {
	if s.parts.Search == nil {
		return nil, notOffered("search")
	}
	req.Now = s.clock.Now()
	return s.parts.Search.Search(ctx, snap.Index(), req)
}

// Elements returns a resource with only the elements named, comma-separated, and
// those it must have, tagged SUBSETTED.
func (s *Server) Elements(resource []byte, elements string) ([]byte, error) {
	return s.view(&Request{Query: "_elements=" + url.QueryEscape(elements)}, resource)
}

// Check judges a resource of type typ by the write policy.
func (s *Server) Check(ctx context.Context, res fhir.Node, typ string) error {
	return s.check(ctx, res, typ)
}

// CommitAll writes ops as one transaction.
func (s *Server) CommitAll(ctx context.Context, r *Request, ops []store.Op) (*store.Result, error) {
	return s.commitAll(ctx, r, ops)
}

// Commit writes one op and answers as Prefer asks.
func (s *Server) Commit(ctx context.Context, r *Request, op store.Op) (*Reply, error) {
	return s.commit(ctx, r, op)
}

// Model returns the R4 definitions.
func (s *Server) Model() *definitions.Model { return s.parts.Model }

// Now returns the time of the server's clock.
func (s *Server) Now() time.Time { return s.clock.Now() }

// NewID draws an id.
func (s *Server) NewID() string { return s.parts.NewID() }
