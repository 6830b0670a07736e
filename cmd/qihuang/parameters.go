package main

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/offer"
)

// extend makes the repository's indexer know added search parameters.
func (h *hub) extend(resources [][]byte) (store.Indexer, []search.Owned, error) {
	e, owned, err := h.search.Extend(resources)
	if err != nil {
		return nil, nil, err
	}
	return e, owned, nil
}

// keepParameters makes the keeper of search parameters; jobs show its work.
func (h *hub) keepParameters(j *jobs.Manager) {
	h.parameters.Use(offer.Parts{Store: h.store, Model: h.model, Jobs: j, Log: h.log, Count: h.guess,
		Check: func(resources [][]byte) error { _, _, err := h.search.Extend(resources); return err }})
}

// runParameters keeps them once the repository has caught up: before that it
// would see resources that are not there any more.
func (h *hub) runParameters(ctx context.Context) error {
	for !h.store.Ready() {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	return h.parameters.Run(ctx)
}

// guess is about how many resources of a type there are.
func (h *hub) guess(ctx context.Context, typ string) int {
	snap, err := h.store.Snapshot(ctx, 0)
	if err != nil {
		return 0
	}
	defer snap.Close()
	page, err := h.search.Search(ctx, snap.Index(), search.Request{Type: typ, Query: "_total=estimate&_count=1"})
	if err != nil || page.Total == nil {
		return 0
	}
	return *page.Total
}
