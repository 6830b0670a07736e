package main

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/cda"
	cdabundle "github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/adapters/cda/intake"
	"github.com/qihuang-health/qihuang/adapters/cda/rest"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/pipeline"
)

// documents are the parts that know the national shared documents.
type documents struct {
	catalogue *cda.Catalogue
	checker   *cda.Checker
	mapper    *cdabundle.Mapper
}

// loadDocuments reads the embedded templates, rules and mapping; zone is that of
// times without one.
func loadDocuments(zone *time.Location) (d documents, err error) {
	if d.catalogue, err = cda.Load(); err != nil {
		return d, err
	}
	if d.checker, err = cda.NewChecker(d.catalogue); err != nil {
		return d, err
	}
	d.mapper, err = cdabundle.New(d.catalogue, d.checker, zone)
	return d, err
}

// documentOperations adds $to-cda and $from-cda, and lets $document answer as a
// shared document.
func (h *hub) documentOperations(ops []server.Operation) ([]server.Operation, error) {
	var err error
	if h.documents, err = loadDocuments(h.zone); err != nil {
		return nil, err
	}
	return append(rest.WithDocument(h.documents.mapper, ops), rest.Operations(h.documents.mapper)...), nil
}

// mountCDA adds the door for shared documents and names the sink of its messages.
func (h *hub) mountCDA(r gin.IRouter) {
	cfg := intake.Default()
	intake.New(cfg, intake.Parts{Mapper: h.documents.mapper, Inbound: h.desk, Letters: h.desk.Letters(), IDs: pipeline.NewIDs(h.clock), Clock: h.clock, Log: h.log}).Mount(r)
	h.inbound.Handle(intake.Kind, intake.NewSink(h.documents.mapper, h.sinkStore(cfg.Source), h.search))
}
