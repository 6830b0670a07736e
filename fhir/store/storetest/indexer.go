// Package storetest is the suite every implementation of the repository passes,
// with a small indexer to run it on.
package storetest

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Indexer indexes identifier values, lastUpdated and the type: enough search to
// test a store with. Its queries are identifier=VALUE and _all.
type Indexer struct {
	Numbers bool     // index the member n too, and the type no longer
	codes   []string // added: CODE=VALUE finds patients by that member
}

// Extend is a machine.Config.Extend: a SearchParameter adds the member of
// patients that its code names.
func Extend(resources [][]byte) (store.Indexer, []search.Owned, error) {
	var x Indexer
	var owned []search.Owned
	for i, raw := range resources {
		tree, err := fhir.Parse(raw)
		if err != nil {
			return nil, nil, err
		}
		code := strings.Clone(tree.Root().Get("code").Str())
		if len(code) != 1 || slices.Contains(x.codes, code) {
			return nil, nil, fault.New(fault.Invalid, "bad code")
		}
		x.codes = append(x.codes, code)
		owned = append(owned, search.Owned{Type: "Patient", Prefix: []byte("add" + code), Definition: i})
	}
	return x, owned, nil
}

// Keys implements store.Indexer.
func (x Indexer) Keys(dst [][]byte, typ, id string, res fhir.Node) ([][]byte, error) {
	add := func(parts ...string) {
		dst = append(dst, []byte(strings.Join(parts, "\x00")))
	}
	if x.Numbers {
		add("number", typ, res.Get("n").Str(), id)
	} else {
		add("type", typ, id)
	}
	if at := res.Path("meta", "lastUpdated").Str(); at != "" {
		dst, _ = x.TimeKeys(dst, typ, id, at)
	}
	seen := map[string]bool{}
	for n := range res.Get("identifier").Each() {
		if v := n.Get("value").Str(); v != "" && !seen[v] {
			seen[v] = true
			add("identifier", typ, v, id)
		}
	}
	for _, code := range x.codes {
		if v := res.Get(code).Str(); v != "" && typ == "Patient" {
			add("add"+code, v, id)
		}
	}
	if res.Get("broken").Exists() {
		return dst, fault.New(fault.Invalid, "broken resource")
	}
	return dst, nil
}

// TimeKeys implements store.Indexer.
func (Indexer) TimeKeys(dst [][]byte, typ, id, lastUpdated string) ([][]byte, error) {
	return append(dst, []byte(strings.Join([]string{"updated", typ, lastUpdated, id}, "\x00"))), nil
}

// IDs implements store.Indexer.
func (x Indexer) IDs(_ context.Context, ix search.Index, typ, query string, limit int) ([]string, error) {
	prefix := "type\x00" + typ + "\x00"
	if v, ok := strings.CutPrefix(query, "identifier="); ok {
		prefix = "identifier\x00" + typ + "\x00" + v + "\x00"
	} else if code, v, ok := strings.Cut(query, "="); ok && slices.Contains(x.codes, code) {
		prefix = "add" + code + "\x00" + v + "\x00"
	} else if query != "_all" {
		return nil, fault.New(fault.Invalid, "unknown parameter")
	}
	var ids []string
	it := ix.Iter([]byte(prefix), append([]byte(prefix), 0xff))
	for len(ids) < limit && it.Next() {
		ids = append(ids, string(it.Key()[bytes.LastIndexByte(it.Key(), 0)+1:]))
	}
	return ids, it.Close()
}

// Patcher replaces the resource by the patch body; a body of "bad" is refused.
type Patcher struct{}

// Patch implements store.Patcher.
func (Patcher) Patch(_ []byte, _ string, patch []byte) ([]byte, error) {
	if string(patch) == "bad" {
		return nil, fault.New(fault.Invalid, "bad patch")
	}
	return patch, nil
}
