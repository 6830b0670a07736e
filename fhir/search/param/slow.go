package param

import (
	"context"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search/path"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// slow emits the values of a parameter that only FHIRPath can find. An
// expression added at run time that fails on a resource finds nothing there: it
// must not keep the resource from being stored.
func (x *Reader) slow(p *Param) error {
	items, err := p.slow.Eval(&fhirpath.Context{Resource: x.res, Resolver: byText{}, Now: epoch()}, x.res)
	if err != nil && p.Bit < 0 {
		return nil
	}
	if err != nil {
		return fault.New(fault.KindOf(err), "search parameter %s of %s: %w", p.Code, p.Type, err)
	}
	for _, it := range items {
		n, ok := it.Node()
		typ := it.Type()
		if !ok {
			tree, err := fhir.Parse(it.AppendJSON(nil))
			if err != nil {
				continue
			}
			n, typ = tree.Root(), strings.ToLower(typ[:1])+typ[1:]
		}
		if t := it.FHIRType(); t != nil {
			typ = t.Name
		}
		if n.Kind() == fhir.Null {
			continue
		}
		if p.Kind == Composite {
			x.composite(p, typ, n)
		} else {
			x.value(p, typ, n)
		}
	}
	return nil
}

// epoch is the time that now() tells in an expression: keys may depend on the
// resource only.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// byText resolves references for "resolve() is Type" in expressions: by the
// type that the reference itself states, since no other resource is at hand.
type byText struct{}

// Resolve returns an empty resource of the type the reference names.
func (byText) Resolve(_ context.Context, reference string, _ fhir.Node) (fhir.Node, error) {
	typ, id := path.Split(reference)
	if typ == "" {
		return fhir.Node{}, nil
	}
	tree, err := fhir.Parse([]byte(`{"resourceType":"` + typ + `","id":"` + id + `"}`))
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}
