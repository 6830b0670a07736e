package main

import (
	"github.com/qihuang-health/qihuang/apps/console"
	"github.com/qihuang-health/qihuang/fhir/xml"
)

// consoleParts are what the operator's pages show.
func (h *hub) consoleParts() console.Parts {
	return console.Parts{Hub: h, SQL: h.warehouse, Letters: h.letters, Log: h.log, Flow: h.flow(), Jobs: h.jobs, Subscriptions: h.subscriptions, Settlements: settlementBook{h},
		Repository: &console.Repository{Store: h.store, Search: h.search, Model: h.model, XML: func(b []byte) ([]byte, error) { return xml.FromJSON(h.model, b) }}}
}
