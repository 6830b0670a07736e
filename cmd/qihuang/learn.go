package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"strings"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/follow"
	"github.com/qihuang-health/qihuang/fhir/validate"
)

// learn makes stored terminology and profiles count beside the built-in ones.
func (h *hub) learn(v *validate.Validator) error {
	shipped, err := guideDigests()
	if err != nil {
		return err
	}
	terms, profiles := beside{h.terms, shipped}, beside{v, shipped}
	f := follow.New(h.store, map[string]follow.Sink{"CodeSystem": terms, "ValueSet": terms, "ConceptMap": terms, "StructureDefinition": profiles}, h.log)
	h.terms.Follow(f.Refresh)
	h.refreshTerms = f.Refresh
	v.Follow(f.Refresh)
	return nil
}

// beside takes what the repository holds beside the guide that is built in:
// stored copies of the guide itself are not taken twice.
type beside struct {
	follow.Sink
	shipped map[string][sha256.Size]byte // content of the guide's resources, by Type/id
}

// Add implements follow.Sink.
func (b beside) Add(resources ...[]byte) error {
	var rest [][]byte
	for _, r := range resources {
		name, digest, err := contentDigest(r)
		if err != nil {
			return err
		}
		if built, ok := b.shipped[name]; ok && built == digest {
			typ, id, _ := strings.Cut(name, "/")
			b.Remove(typ, id) // an older version that differed
			continue
		}
		rest = append(rest, r)
	}
	return b.Sink.Add(rest...)
}

func guideDigests() (map[string][sha256.Size]byte, error) {
	out := map[string][sha256.Size]byte{}
	for _, b := range conformance.Artefacts() {
		name, digest, err := contentDigest(bytes.TrimSpace(b))
		if err != nil {
			return nil, err
		}
		out[name] = digest
	}
	return out, nil
}

// contentDigest names a resource as Type/id and digests all but its meta.
func contentDigest(resource []byte) (name string, digest [sha256.Size]byte, err error) {
	tree, err := fhir.Parse(resource)
	if err != nil {
		return "", digest, err
	}
	n := tree.Root()
	if meta := n.Get("meta"); meta.Exists() {
		resource = fhir.Splice(resource, fhir.Remove(n, meta))
	}
	return n.ResourceType() + "/" + n.Get("id").Str(), sha256.Sum256(resource), nil
}

// canonicals finds stored resources by their url.
type canonicals struct {
	store  store.Reader
	search *search.Engine
}

var _ validate.Resources = canonicals{}

// ByCanonical implements validate.Resources.
func (c canonicals) ByCanonical(ctx context.Context, typ, canonical string) (fhir.Node, bool) {
	want := fhir.ParseCanonical(canonical)
	query := "url=" + url.QueryEscape(want.URL)
	if want.Version != "" {
		query += "&version=" + url.QueryEscape(want.Version)
	}
	snap, err := c.store.Snapshot(ctx, 0)
	if err != nil {
		return fhir.Node{}, false
	}
	ids, err := c.search.IDs(ctx, snap.Index(), typ, query, 1)
	var v *store.Version
	if err == nil && len(ids) > 0 {
		v, err = snap.Read(typ, ids[0])
	}
	if errors.Join(err, snap.Close()) != nil || v == nil {
		return fhir.Node{}, false
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return fhir.Node{}, false
	}
	return tree.Root(), true
}
