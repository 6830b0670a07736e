package operation

import (
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// meta is $meta of a resource or one of its versions, or what profiles, tags and
// labels are in use in a type or the system (resource-operation-meta.html).
func meta() server.Operation {
	return server.Operation{Name: "meta", Definition: coreOp + "Resource-meta", System: true, Types: []string{"*"}, Instances: []string{"*"},
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			snap, err := s.Snapshot(ctx, r)
			if err != nil {
				return nil, err
			}
			defer snap.Close()
			if r.Target.ID == "" {
				return metaInUse(ctx, s, snap, r.Type)
			}
			v, err := read(snap, r)
			if err != nil {
				return nil, err
			}
			tree, err := fhir.Parse(v.Resource)
			if err != nil {
				return nil, err
			}
			return reply(metaReply(tree.Root()), nil)
		}}
}

// maxMetas bounds how many resources $meta of a type or the system looks at.
const maxMetas = 50_000

// metaInUse is the union of the metas of a type's resources, or of all.
func metaInUse(ctx context.Context, s *server.Server, snap store.Snapshot, typ string) (*server.Reply, error) {
	have, looked := []byte(`{}`), 0
	var parser fhir.Parser
	for _, element := range []string{"profile", "security", "tag"} {
		req := search.Request{Type: typ, Query: "_count=1000&_total=none&_" + element + ":missing=false"}
		for more := true; more; more = req.Cursor != "" {
			page, err := s.Find(ctx, snap, req)
			if err != nil {
				return nil, err
			}
			if looked += len(page.Matches); looked > maxMetas {
				return nil, fault.New(fault.TooCostly, "$meta would look at more than %d resources", maxMetas)
			}
			for _, m := range page.Matches {
				v, err := snap.Read(m.Type, m.ID)
				if err != nil {
					return nil, err
				}
				tree, err := parser.Parse(v.Resource)
				if err != nil {
					return nil, err
				}
				if have, err = joined(have, tree.Root().Get("meta"), element); err != nil {
					return nil, err
				}
			}
			req.Cursor = page.Next
		}
	}
	return reply(append(append([]byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":`), have...), "}]}"...), nil)
}

// joined adds what one element of meta has and have lacks.
func joined(have []byte, meta fhir.Node, element string) ([]byte, error) {
	tree, err := fhir.Parse(have)
	if err != nil {
		return nil, err
	}
	old := tree.Root().Get(element)
	for c := range meta.Get(element).Each() {
		if !in(old, c) {
			return fhir.Splice(have, fhir.SetMember(tree.Root(), element, union(old, meta.Get(element)))), nil
		}
	}
	return have, nil
}

// read returns the version a request addresses, the current one without a number.
func read(snap store.Snapshot, r *server.Request) (*store.Version, error) {
	if r.Version == "" {
		return snap.Read(r.Type, r.Target.ID)
	}
	n, err := strconv.ParseInt(r.Version, 10, 64)
	if err != nil {
		return nil, fault.New(fault.NotFound, "no such version")
	}
	return snap.VRead(r.Type, r.Target.ID, n)
}

func metaReply(res fhir.Node) []byte {
	b := []byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":`)
	return append(append(b, res.Get("meta").Raw()...), "}]}"...)
}

// metaAdd is $meta-add: profiles, tags and security labels join those that are
// there, in a new version.
func metaAdd() server.Operation {
	return server.Operation{Name: "meta-add", Definition: coreOp + "Resource-meta-add", Instances: []string{"*"}, Changes: true, Run: changeMeta(union)}
}

// metaDelete is $meta-delete: those named are taken away, in a new version.
func metaDelete() server.Operation {
	return server.Operation{Name: "meta-delete", Definition: coreOp + "Resource-meta-delete", Instances: []string{"*"}, Changes: true, Run: changeMeta(difference)}
}

// maxTries bounds how often a change is made again because another writer came
// in between.
const maxTries = 10

func changeMeta(combine func(have, given fhir.Node) []byte) run {
	return func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
		in, err := readInputs(r)
		if err != nil {
			return nil, err
		}
		given := in.part("meta").Get("valueMeta")
		if given.Kind() != fhir.Object {
			return nil, invalid("meta", "缺少参数 meta（valueMeta）", "the parameter meta (valueMeta) is missing")
		}
		for range maxTries {
			res, err := stored(ctx, s, r)
			if err != nil {
				return nil, err
			}
			version, _ := strconv.ParseInt(res.Path("meta", "versionId").Str(), 10, 64)
			body := withMeta(res, given, combine)
			rep, err := s.Commit(ctx, r, store.Op{Method: store.Update, Type: r.Type, ID: r.Target.ID, IfMatch: version, Resource: body})
			if fault.Is(err, fault.Precondition) {
				continue
			}
			if err != nil {
				return nil, err
			}
			tree, err := fhir.Parse(rep.Version.Resource)
			if err != nil {
				return nil, err
			}
			rep.Body, rep.NoBody, rep.Location = metaReply(tree.Root()), false, ""
			return rep, nil
		}
		return nil, fault.New(fault.Conflict, "the resource keeps changing")
	}
}

// withMeta returns the resource with its profiles, tags and labels combined
// with those given.
func withMeta(res, given fhir.Node, combine func(have, given fhir.Node) []byte) []byte {
	var edits []fhir.Edit
	meta := res.Get("meta")
	for _, name := range []string{"profile", "security", "tag"} {
		if !given.Get(name).Exists() {
			continue
		}
		list := combine(meta.Get(name), given.Get(name))
		switch old := meta.Get(name); {
		case len(list) > 0:
			edits = append(edits, fhir.SetMember(meta, name, list))
		case old.Exists():
			edits = append(edits, fhir.Remove(meta, old))
		}
	}
	return fhir.Splice(res.Tree().Source(), edits...)
}

// same compares canonicals, or codings by system and code.
func same(a, b fhir.Node) bool {
	if a.Kind() == fhir.String {
		return a.Str() == b.Str()
	}
	return a.Get("system").Str() == b.Get("system").Str() && a.Get("code").Str() == b.Get("code").Str()
}

func in(list, x fhir.Node) bool {
	for c := range list.Each() {
		if same(c, x) {
			return true
		}
	}
	return false
}

// union lists have and then what given adds; nil if empty.
func union(have, given fhir.Node) []byte {
	var b []byte
	for c := range have.Each() {
		b = append(append(b, ','), c.Raw()...)
	}
	for c := range given.Each() {
		if !in(have, c) {
			b = append(append(b, ','), c.Raw()...)
		}
	}
	return bracket(b)
}

// difference lists have without given; nil if empty.
func difference(have, given fhir.Node) []byte {
	var b []byte
	for c := range have.Each() {
		if !in(given, c) {
			b = append(append(b, ','), c.Raw()...)
		}
	}
	return bracket(b)
}

func bracket(items []byte) []byte {
	if len(items) == 0 {
		return nil
	}
	items[0] = '['
	return append(items, ']')
}
