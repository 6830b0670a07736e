package operation

import (
	"context"
	"net/url"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// lastn is Observation/$lastn: the newest max observations of each code that the
// search finds (observation-operation-lastn.html).
func lastn() server.Operation {
	return server.Operation{Name: "lastn", Definition: coreOp + "Observation-lastn", Types: []string{"Observation"}, Run: runLastn}
}

func runLastn(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
	in, err := readInputs(r)
	if err != nil {
		return nil, err
	}
	if in.Get("patient") == "" && in.Get("subject") == "" {
		return nil, invalid("subject", "$lastn 需要参数 patient 或 subject", "$lastn needs the parameter patient or subject")
	}
	most := 1
	if v := in.Get("max"); v != "" {
		if most, err = strconv.Atoi(v); err != nil || most < 1 {
			return nil, invalid("max", "max 应为正整数", "max must be a positive integer")
		}
	}
	query := url.Values{"_sort": {"-date"}, "_count": {"1000"}}
	for k, v := range in.Values {
		if k != "max" && k != "_format" && k != "_pretty" && k != "_count" && k != "_sort" {
			query[k] = v
		}
	}
	snap, err := s.Snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	out := bundle.New("searchset", s.NewID(), s.Now(), -1)
	counts := map[string]int{}
	req := search.Request{Type: "Observation", Query: query.Encode()}
	for {
		page, err := s.Find(ctx, snap, req)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Matches {
			v, err := snap.Read(m.Type, m.ID)
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
				continue
			}
			if err != nil {
				return nil, err
			}
			tree, err := fhir.Parse(v.Resource)
			if err != nil {
				return nil, err
			}
			if first(counts, tree.Root().Get("code"), most) {
				out.Entry(r.Base, m.Type, m.ID, v.Resource, "match")
			}
		}
		if req.Cursor = page.Next; req.Cursor == "" {
			return &server.Reply{Body: out.End(), Offset: snap.Offset()}, nil
		}
	}
}

// first reports whether an observation with this code is among the newest of
// any of its codings, or of its text if it has none, and counts it.
func first(counts map[string]int, code fhir.Node, most int) bool {
	keys := []string{}
	for c := range code.Get("coding").Each() {
		keys = append(keys, c.Get("system").Str()+"|"+c.Get("code").Str())
	}
	if len(keys) == 0 {
		keys = append(keys, code.Get("text").Str())
	}
	hit := false
	for _, k := range keys {
		counts[k]++
		hit = hit || counts[k] <= most
	}
	return hit
}
