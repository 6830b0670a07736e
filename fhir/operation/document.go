package operation

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// document is $document of a Composition: a Bundle of type document with it and
// everything it refers to, persist=true stores that
// (composition-operation-document.html).
func document() server.Operation {
	return server.Operation{Name: "document", Definition: coreOp + "Composition-document", Instances: []string{"Composition"},
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			in, err := readInputs(r)
			if err != nil {
				return nil, err
			}
			body, err := documentBundle(ctx, s, r)
			if err != nil || in.Get("persist") != "true" {
				return reply(body, err)
			}
			if r.Method != "POST" {
				return nil, invalid("persist", "persist=true 须用 POST", "persist=true needs POST")
			}
			return s.Commit(ctx, r, store.Op{Method: store.Create, Type: "Bundle", ID: s.NewID(), Resource: body})
		}}
}

func documentBundle(ctx context.Context, s *server.Server, r *server.Request) ([]byte, error) {
	snap, err := s.Snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	id := s.NewID()
	out := bundle.NewDocument(id, "urn:uuid:"+id, s.Now())
	queue, seen := []string{r.Type + "/" + r.Target.ID}, map[string]bool{}
	for len(queue) > 0 {
		ref := fhir.ParseReference(queue[0])
		queue = queue[1:]
		if seen[ref.Relative()] {
			continue
		}
		seen[ref.Relative()] = true
		v, err := snap.Read(ref.Type, ref.ID)
		if len(seen) > 1 && (fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone)) {
			continue // the reference stays; its target is not ours to show
		}
		if err != nil {
			return nil, err
		}
		tree, err := fhir.Parse(v.Resource)
		if err != nil {
			return nil, err
		}
		references(tree.Root(), func(to fhir.Reference) {
			if to.Kind == fhir.RefRelative && to.Type != "" && !seen[to.Relative()] {
				queue = append(queue, to.Relative())
			}
		})
		out.Entry(r.Base, v.Type, v.ID, v.Resource, "")
		const most = 10_000
		if len(seen) > most {
			return nil, fault.New(fault.TooCostly, "the document would hold more than %d resources", most)
		}
	}
	return out.End(), nil
}
