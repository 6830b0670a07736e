package store

import (
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Current reads a resource as a snapshot has it, with its version. A resource
// that never was or is deleted is no error: the node is absent and the version 0.
func Current(snap Snapshot, typ, id string) (n fhir.Node, version int64, err error) {
	v, err := snap.Read(typ, id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return fhir.Node{}, 0, nil
	}
	if err != nil {
		return fhir.Node{}, 0, err
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return fhir.Node{}, 0, err
	}
	return tree.Root(), v.Version, nil
}
