package main

import (
	"context"
	"errors"
	"net/url"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/follow"
	"github.com/qihuang-health/qihuang/fhir/validate"
)

// learn makes stored terminology and profiles count beside the built-in ones.
func (h *hub) learn(v *validate.Validator) {
	f := follow.New(h.store, map[string]follow.Sink{"CodeSystem": h.terms, "ValueSet": h.terms, "ConceptMap": h.terms, "StructureDefinition": v}, h.log)
	h.terms.Follow(f.Refresh)
	v.Follow(f.Refresh)
}

// canonicals finds stored resources by their url.
type canonicals struct {
	store  store.Reader
	search *search.Engine
}

var _ validate.Resources = canonicals{}

// ByCanonical implements validate.Resources.
func (c canonicals) ByCanonical(ctx context.Context, typ, canonical string) (fhir.Node, bool) {
	want := fhir.ParseCanonical(canonical)
	query := "url=" + url.QueryEscape(want.URL)
	if want.Version != "" {
		query += "&version=" + url.QueryEscape(want.Version)
	}
	snap, err := c.store.Snapshot(ctx, 0)
	if err != nil {
		return fhir.Node{}, false
	}
	ids, err := c.search.IDs(ctx, snap.Index(), typ, query, 1)
	var v *store.Version
	if err == nil && len(ids) > 0 {
		v, err = snap.Read(typ, ids[0])
	}
	if errors.Join(err, snap.Close()) != nil || v == nil {
		return fhir.Node{}, false
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return fhir.Node{}, false
	}
	return tree.Root(), true
}
