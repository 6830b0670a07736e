package main

import (
	"context"
	"errors"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bulk"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/fhirpath/lab"
	"github.com/qihuang-health/qihuang/fhir/graphql"
	"github.com/qihuang-health/qihuang/fhir/operation"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/warehouse/sqlrun"
)

// operations are the named operations of /fhir.
func (h *hub) operations(v *validate.Validator) ([]server.Operation, error) {
	sql, err := sqlrun.New(sqlrun.Default(), sqlrun.Parts{Store: h.store, Search: h.search, Paths: h.paths, Views: conformance.Views(),
		SQL: &sqlrun.ClickHouse{URL: "http://" + h.cfg.ClickHouse.Address, User: h.cfg.ClickHouse.User, Password: h.cfg.ClickHouse.Password}, Now: h.clock.Now})
	if err != nil {
		return nil, err
	}
	h.onClose(sql.Close)
	rules, err := rational.Load()
	if err != nil {
		return nil, err
	}
	if h.measures, err = measures.Load(rules); err != nil {
		return nil, err
	}
	if err := h.measures.SetThresholds(h.cfg.Supervision.Thresholds); err != nil {
		return nil, err
	}
	ops := append(sql.Operations(), operation.All(operation.Parts{Validator: v, Terminology: h.terms,
		FHIRPath:   &lab.Lab{Engine: h.paths, Name: "qihuang " + version, Terminology: h.terms.FHIRPath(), Resolver: resolver{h.store}},
		GraphQL:    graphql.New(h.model, h.paths, graphql.DefaultLimits()),
		Parameters: h.parameters.List,
		Reindex:    func(ctx context.Context, progress func(int64)) error { return h.store.Reindex(ctx, nil, progress) }})...)
	ops = append(append(ops, bulk.ExportOperations(h.exports())...), bulk.ImportOperation(h.exports(), h.importFile))
	ops = append(ops, h.subscriptions.Operations()...)
	return h.documentOperations(append(ops, h.measures.Operation(h.warehouse, h.clock.Now)))
}

// resolver finds what references in FHIRPath point to in the repository.
type resolver struct{ store store.Reader }

var _ fhirpath.Resolver = resolver{}

// Resolve reads Type/id, absent if there is none.
func (r resolver) Resolve(ctx context.Context, reference string, _ fhir.Node) (fhir.Node, error) {
	typ, id, ok := fhirpath.SplitReference(reference)
	if !ok {
		return fhir.Node{}, nil
	}
	snap, err := r.store.Snapshot(ctx, 0)
	if err != nil {
		return fhir.Node{}, err
	}
	v, err := snap.Read(typ, id)
	if err = errors.Join(err, snap.Close()); err != nil {
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			err = nil
		}
		return fhir.Node{}, err
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}
