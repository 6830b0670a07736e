package feed

import (
	"bytes"
	"context"
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// SystemOrigin is the system of the tag that names the hub a resource came from.
const SystemOrigin = tcm.Base + "/CodeSystem/region-origin"

// Repository is what a feed needs of the store.
type Repository interface {
	store.Store
	store.Feed
}

// Source makes the pages of this hub. Safe for concurrent use.
type Source struct {
	name   string
	types  []string
	signer *Signer
	repo   Repository
}

// NewSource returns the feed of the hub called name; only resources of types go
// into it.
func NewSource(name string, types []string, s *Signer, repo Repository) *Source {
	return &Source{name, slices.Clone(types), s, repo}
}

// Name is the hub's name in its pages.
func (s *Source) Name() string { return s.name }

// Signer is the hub's key.
func (s *Source) Signer() *Signer { return s.signer }

const pageBytes = 4 << 20

// Page returns the changes after a sequence number: about 4 MB of them, fewer if
// there are no more.
func (s *Source) Page(ctx context.Context, after int64) (*Page, error) {
	if after < 0 {
		return nil, fault.New(fault.Invalid, "after 不能为负")
	}
	last, err := s.last(ctx)
	if err != nil {
		return nil, err
	}
	if after > last {
		return nil, fault.New(fault.Gone, "after=%d 超出本平台的最后序号 %d：对方的位置属于另一个数据库，请从 0 开始", after, last)
	}
	next := after
	var entries []Entry
	if after < last {
		changes, _, err := s.repo.Changes(ctx, after+1, pageBytes)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			next = c.Seq
			if e, ok := s.entry(c); ok {
				entries = append(entries, e)
			}
		}
	}
	return Seal(s.signer, s.name, after, next, next < last, entries)
}

// last is the sequence of the newest change.
func (s *Source) last(ctx context.Context) (int64, error) {
	snap, err := s.repo.Snapshot(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer snap.Close()
	for c, err := range snap.History(store.HistoryQuery{Limit: 1}) {
		return c.Seq, err
	}
	return 0, nil
}

// entry makes an entry of a change; false for what does not go out.
func (s *Source) entry(c store.Change) (Entry, bool) {
	if !slices.Contains(s.types, c.Type) {
		return Entry{}, false
	}
	e := Entry{Seq: c.Seq, Type: c.Type, ID: c.ID, Version: c.Version.Version, At: c.LastUpdated, Deleted: c.Deleted()}
	if !e.Deleted {
		if foreign(c.Resource) {
			return Entry{}, false
		}
		e.Resource = c.Resource
	}
	return e, true
}

// foreign reports whether a resource came from another hub.
func foreign(resource []byte) bool {
	if !bytes.Contains(resource, []byte(SystemOrigin)) {
		return false
	}
	tree, err := fhir.Parse(resource)
	if err != nil {
		return false
	}
	for tag := range tree.Root().Path("meta", "tag").Each() {
		if tag.Get("system").Str() == SystemOrigin {
			return true
		}
	}
	return false
}
