package main

import (
	"fmt"
	"time"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

// loadKnowledge builds the FHIR engine over the embedded R4 definitions and the
// TCM guide. zone is that of dates without one.
func loadKnowledge(zone *time.Location) (k knowledge, err error) {
	if k.model, err = definitions.Load(); err != nil {
		return k, fmt.Errorf("load R4 definitions: %w", err)
	}
	k.model.AddViewDefinition()
	k.terms = terminology.New(k.model)
	var guide [][]byte
	for _, b := range conformance.Terminology() {
		guide = append(guide, b)
	}
	if err := k.terms.Include(guide...); err != nil {
		return k, fmt.Errorf("load the terminology of the TCM guide: %w", err)
	}
	k.paths = fhirpath.NewEngine(k.model)
	cfg := search.Default()
	cfg.Zone = zone
	k.search = search.NewEngine(k.model, k.paths, search.WithConfig(cfg), search.WithTerminology(k.terms))
	return k, nil
}
