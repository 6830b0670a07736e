package operation

import (
	"bytes"
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// diff is $diff of two versions of a resource, ours: Parameters with one
// "operation" per difference, parts type (add, delete, replace), path (FHIRPath),
// previousValue and value (JSON text). Parameters: fromVersion (default the one
// before), toVersion (default the current one).
func diff() server.Operation {
	return server.Operation{Name: "diff", Definition: "https://qihuang.health/fhir/OperationDefinition/diff", Instances: []string{"*"},
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			in, err := readInputs(r)
			if err != nil {
				return nil, err
			}
			snap, err := s.Snapshot(ctx, r)
			if err != nil {
				return nil, err
			}
			defer snap.Close()
			to, err := version(snap, r, in.Get("toVersion"), 0)
			if err != nil {
				return nil, err
			}
			from, err := version(snap, r, in.Get("fromVersion"), to.Version-1)
			if err != nil {
				return nil, err
			}
			return reply(changes(from.Resource, to.Resource))
		}}
}

// version reads the version given as text, else def; 0 is the current one.
func version(snap store.Snapshot, r *server.Request, text string, def int64) (*store.Version, error) {
	if text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return nil, invalid("version", "版本号应为正整数", "a version is a positive integer")
		}
		def = n
	}
	if def == 0 {
		return snap.Read(r.Type, r.Target.ID)
	}
	return snap.VRead(r.Type, r.Target.ID, def)
}

func changes(from, to []byte) ([]byte, error) {
	a, err := fhir.Parse(from)
	if err != nil {
		return nil, err
	}
	b, err := fhir.Parse(to)
	if err != nil {
		return nil, err
	}
	d := &differ{out: []byte(`{"resourceType":"Parameters"`)}
	d.object(b.Root().ResourceType(), a.Root(), b.Root())
	if d.n > 0 {
		d.out = append(d.out, ']')
	}
	return append(d.out, '}'), nil
}

// differ writes the differences of two trees.
type differ struct {
	out []byte
	n   int
}

func (d *differ) values(path string, a, b fhir.Node) {
	switch {
	case !a.Exists():
		d.operation("add", path, a, b)
	case !b.Exists():
		d.operation("delete", path, a, b)
	case a.Kind() == fhir.Object && b.Kind() == fhir.Object:
		d.object(path, a, b)
	case a.Kind() == fhir.Array && b.Kind() == fhir.Array:
		x, y := a.First(), b.First()
		for i := 0; x.Exists() || y.Exists(); i++ {
			d.values(path+"["+strconv.Itoa(i)+"]", x, y)
			x, y = x.Next(), y.Next()
		}
	case a.Kind() != b.Kind() || !bytes.Equal(a.Raw(), b.Raw()):
		d.operation("replace", path, a, b)
	}
}

func (d *differ) object(path string, a, b fhir.Node) {
	for c := range a.Children() {
		if key := c.Key(); key != "versionId" && key != "lastUpdated" { // they always differ
			d.values(path+"."+key, c, b.Get(key))
		}
	}
	for c := range b.Children() {
		if !a.Get(c.Key()).Exists() {
			d.values(path+"."+c.Key(), fhir.Node{}, c)
		}
	}
}

func (d *differ) operation(kind, path string, a, b fhir.Node) {
	if d.n++; d.n == 1 {
		d.out = append(d.out, `,"parameter":[`...)
	} else {
		d.out = append(d.out, ',')
	}
	d.out = append(d.out, `{"name":"operation","part":[{"name":"type","valueCode":"`+kind+`"},{"name":"path","valueString":`...)
	d.out = append(fhir.AppendString(d.out, path), '}')
	for _, v := range []struct {
		name string
		node fhir.Node
	}{{"previousValue", a}, {"value", b}} {
		if v.node.Exists() {
			d.out = append(d.out, `,{"name":"`+v.name+`","valueString":`...)
			d.out = append(fhir.AppendString(d.out, string(v.node.Raw())), '}')
		}
	}
	d.out = append(d.out, "]}"...)
}
