// Package checked is a repository whose writers' resources are validated before
// they are appended to the log, by a policy of its own for each source. The
// REST server checks its requests itself, since it tells the place in the
// request's bundle; every other door writes through this.
package checked

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Checker returns the findings on a resource; validate.Policy is one. Findings
// of severity error or fatal refuse the write.
type Checker interface {
	Check(ctx context.Context, res fhir.Node) []fault.Issue
}

// Store is a repository with a check before Commit.
type Store struct {
	store.Store
	checker Checker
}

// New returns st with checker before its writes; st itself where checker is nil.
func New(st store.Store, checker Checker) store.Store {
	if checker == nil {
		return st
	}
	return &Store{st, checker}
}

// Commit implements store.Writer. A transaction with a resource that the
// checker refuses is fault.Invalid with every finding, and changes nothing.
// Patches are not checked: their result is known only when they are applied.
func (s *Store) Commit(ctx context.Context, tx *store.Transaction) (*store.Result, error) {
	var parser fhir.Parser
	var found []fault.Issue
	refused := false
	for _, op := range tx.Ops {
		if op.Resource == nil || op.Method == store.Patch {
			continue
		}
		tree, err := parser.Parse(op.Resource)
		if err != nil {
			return nil, err
		}
		for _, is := range s.checker.Check(ctx, tree.Root()) {
			refused = refused || is.Severity == "error" || is.Severity == "fatal"
			found = append(found, is)
		}
	}
	if refused {
		return nil, fault.New(fault.Invalid, "资源不符合 FHIR 的结构要求").With(found...)
	}
	return s.Store.Commit(ctx, tx)
}
