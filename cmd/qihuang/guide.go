package main

import (
	"bytes"
	"context"
	"iter"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/subscribe"
)

// seedGuide puts the indicators, everything of the guide (profiles,
// terminology, forms, rules, search parameters, roles) and the topics and search
// parameters of subscriptions into the repository, so that clients find them by
// search. What is there already is left alone; what a newer release changes
// makes a new version.
func (h *hub) seedGuide(ctx context.Context) error {
	tx := &store.Transaction{ID: "guide-" + version + "-" + h.clock.Now().Format("20060102T150405.000"), Actor: "guide", Time: h.clock.Now()}
	add := func(b []byte) error {
		tree, err := fhir.Parse(b)
		if err != nil {
			return err
		}
		r := tree.Root()
		tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: r.ResourceType(), ID: r.Get("id").Str(), SkipSame: true, Resource: b})
		return nil
	}
	for _, part := range []iter.Seq2[string, []byte]{conformance.Measures(), conformance.Artefacts()} {
		for _, b := range part {
			if err := add(bytes.TrimSpace(b)); err != nil {
				return err
			}
		}
	}
	for _, list := range []func() ([][]byte, error){subscribe.Shipped, subscribe.Parameters} {
		resources, err := list()
		if err != nil {
			return err
		}
		for _, b := range resources {
			if err := add(b); err != nil {
				return err
			}
		}
	}
	if _, err := h.store.Commit(ctx, tx); err != nil && ctx.Err() == nil {
		h.log.WarnContext(ctx, "put the guide into the repository", "error", err)
	}
	return nil
}
