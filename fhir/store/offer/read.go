package offer

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// stored is a SearchParameter as the repository has it. entry.Status is empty for
// one that should be offered.
type stored struct {
	raw   []byte
	sp    *definitions.SearchParameter
	entry Parameter
}

// read returns the current SearchParameter resources by id.
func (k *Keeper) read(ctx context.Context) (map[string]stored, error) {
	snap, err := k.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	standard := map[string]bool{}
	for _, sp := range k.parts.Model.AllSearchParameters() {
		standard[sp.URL] = true
	}
	out, seen := map[string]stored{}, map[string]bool{}
	for c, err := range snap.History(store.HistoryQuery{Type: "SearchParameter"}) {
		if err != nil {
			return nil, err
		}
		if seen[c.ID] {
			continue
		}
		seen[c.ID] = true
		if !c.Deleted() {
			if out[c.ID], err = judge(c.Version, standard); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func judge(v *store.Version, standard map[string]bool) (stored, error) {
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return stored{}, err
	}
	root := tree.Root()
	s := stored{raw: bytes.Clone(v.Resource), entry: Parameter{ID: v.ID, URL: root.Get("url").Str(), Code: root.Get("code").Str()}}
	for b := range root.Get("base").Each() {
		s.entry.Base = append(s.entry.Base, b.Str())
	}
	switch sp, err := definitions.ReadSearchParameter(root); {
	case standard[s.entry.URL]:
		s.entry.Status = Standard
	case root.Get("status").Str() != "active":
		s.entry.Status = Inactive
	case err != nil:
		s.entry.Status, s.entry.Reason = Refused, err.Error()
	default:
		s.sp = sp
	}
	return s, nil
}

// same reports whether two contents mean the same search parameter.
func same(a, b []byte) bool {
	x, errX := parse(a)
	y, errY := parse(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func parse(raw []byte) (*definitions.SearchParameter, error) {
	tree, err := fhir.Parse(raw)
	if err != nil {
		return nil, err
	}
	return definitions.ReadSearchParameter(tree.Root())
}

func idOf(raw []byte) string {
	tree, err := fhir.Parse(raw)
	if err != nil {
		return ""
	}
	return tree.Root().Get("id").Str()
}

// inOrder lists the parameters by id, composites last: they may be made of the
// others.
func inOrder(m map[string]stored) []string {
	composite := func(id string) int {
		if s := m[id]; s.sp != nil && s.sp.Type == "composite" {
			return 1
		}
		return 0
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(composite(a)-composite(b), strings.Compare(a, b))
	})
}
