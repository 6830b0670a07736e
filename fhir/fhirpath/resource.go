package fhirpath

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// FHIR's own functions: https://hl7.org/fhir/R4/fhirpath.html#functions and
// those SQL on FHIR adds.

// fnExtension keeps the extensions with a URL.
func fnExtension(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	url, ok, err := f.text(args[0], "the URL of extension()")
	if err != nil || !ok {
		return dst, err
	}
	typ := f.eng.model.Type("Extension")
	for i := range in {
		obj := in[i].object()
		for x := range obj.Get("extension").Each() {
			if x.Get("url").Str() == url {
				dst = append(dst, Item{node: x, typ: typ})
			}
		}
	}
	return dst, f.tick(len(in))
}

// fnHasExtension is extension(url).exists(), which a search parameter of R4 uses.
func fnHasExtension(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	b, err := fnExtension(f, in, args, f.buffer())
	n := len(b)
	f.recycle(b)
	return appendBool(dst, n > 0), err
}

func fnHasValue(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	return appendBool(dst, len(in) == 1 && in[0].hasValue()), nil
}

func fnGetValue(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	if len(in) != 1 || !in[0].hasValue() {
		return dst, nil
	}
	v, ok := in[0].Value()
	if !ok {
		return dst, nil
	}
	return append(dst, Item{val: v}), nil
}

// fnResolve follows References, uris and canonicals. What cannot be found is
// left out.
func fnResolve(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	for i := range in {
		n, err := f.resolve(&in[i])
		if err != nil {
			return nil, err
		}
		if n.Exists() {
			dst = append(dst, f.eng.Item(n))
		}
	}
	return dst, f.tick(len(in))
}

// reference returns the literal reference of a Reference or uri.
func reference(it *Item) string {
	if it.isValue() {
		return it.val.str
	}
	if it.node.Kind() == fhir.Object {
		return it.node.Get("reference").Str()
	}
	return it.node.Str()
}

func (f *frame) resolve(it *Item) (fhir.Node, error) {
	ref := reference(it)
	base := f.resource()
	if ref == "" {
		return fhir.Node{}, nil
	}
	outer := f.ctx.RootResource
	if !outer.Exists() {
		outer = base
	}
	if id, ok := strings.CutPrefix(ref, "#"); ok {
		for _, holder := range [...]fhir.Node{base, outer} {
			if id == "" {
				return outer, nil
			}
			for c := range holder.Get("contained").Each() {
				if c.Get("id").Str() == id {
					return c, nil
				}
			}
		}
		return fhir.Node{}, nil
	}
	for _, holder := range [...]fhir.Node{base, outer} {
		if holder.ResourceType() == "Bundle" {
			if n := inBundle(holder, ref); n.Exists() {
				return n, nil
			}
		}
	}
	if f.ctx.Resolver == nil {
		return fhir.Node{}, nil
	}
	return f.ctx.Resolver.Resolve(f.ctx.context(), ref, base)
}

// inBundle finds the entry whose fullUrl is the reference, or ends with it.
func inBundle(bundle fhir.Node, ref string) fhir.Node {
	ref, _, _ = strings.Cut(ref, "/_history/")
	absolute := strings.Contains(ref, ":")
	for e := range bundle.Get("entry").Each() {
		url := e.Get("fullUrl").Str()
		if url == ref || !absolute && strings.HasSuffix(url, "/"+ref) {
			return e.Get("resource")
		}
	}
	return fhir.Node{}
}

// referenceType returns the resource type a literal reference names, "" if it
// names none: Patient/1, https://host/fhir/Patient/1/_history/2.
func (e *Engine) referenceType(it *Item) string {
	if t := it.node.Get("type").Str(); t != "" {
		return t
	}
	typ, _ := splitReference(reference(it))
	if e.model.IsResource(typ) {
		return typ
	}
	return ""
}

// splitReference returns type and id of a literal reference.
func splitReference(ref string) (typ, id string) {
	ref, _, _ = strings.Cut(ref, "/_history/")
	i := strings.LastIndexByte(ref, '/')
	if i < 0 {
		return "", ""
	}
	return ref[strings.LastIndexByte(ref[:i], '/')+1 : i], ref[i+1:]
}

// SplitReference returns type and id of a literal reference to a resource
// ("Patient/1", "https://host/fhir/Patient/1/_history/2"); ok is false for others
// (fragments, urn:uuid:…).
func SplitReference(ref string) (typ, id string, ok bool) {
	typ, id = splitReference(ref)
	return typ, id, typ != "" && id != "" && fhir.IsID(id)
}

// resolveIsOp is "resolve() is T", the idiom of R4's search parameters: where
// the reference itself says the type, nothing has to be resolved.
type resolveIsOp struct {
	from op
	typ  typeTest
}

func (o *resolveIsOp) eval(f *frame, dst []Item) ([]Item, error) {
	t, err := o.truth(f)
	return appendTruth(dst, t), err
}

func (o *resolveIsOp) truth(f *frame) (truth, error) {
	it, ok, err := f.one(o.from)
	if err != nil || !ok {
		return unknown, err
	}
	if name := f.eng.referenceType(&it); name != "" {
		typed := Item{typ: f.eng.model.Type(name)}
		return truthOf(typed.typ != nil && o.typ.is(&typed)), nil
	}
	n, err := f.resolve(&it)
	if err != nil || !n.Exists() {
		return unknown, err
	}
	target := f.eng.Item(n)
	return truthOf(o.typ.is(&target)), nil
}

// fnConformsTo asks the context's Conformance; without one it knows the base
// types of R4 only.
func fnConformsTo(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	profile, ok, err := f.text(args[0], "the profile of conformsTo()")
	if err != nil || !ok || len(in) == 0 {
		return dst, err
	}
	if len(in) > 1 {
		return nil, evalError("conformsTo() takes one item, not %d", len(in))
	}
	const core = "http://hl7.org/fhir/StructureDefinition/"
	if name, ok := strings.CutPrefix(profile, core); ok && f.eng.model.Type(name) != nil && (f.ctx.Conformance == nil || !in[0].typ.IsA(name)) {
		return appendBool(dst, in[0].typ.IsA(name)), nil
	}
	if f.ctx.Conformance == nil {
		return nil, evalError("unknown profile %s", profile)
	}
	ok, err = f.ctx.Conformance.Conforms(f.ctx.context(), in[0].node, profile)
	return appendBool(dst, ok), err
}

// fnCheckModifiers is true if the items carry no modifier extensions but those
// named.
func fnCheckModifiers(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	known := map[string]bool{}
	for _, a := range args {
		url, ok, err := f.text(a, "a URL of checkModifiers()")
		if err != nil {
			return nil, err
		}
		known[url] = ok
	}
	for i := range in {
		for x := range in[i].node.Get("modifierExtension").Each() {
			if !known[x.Get("url").Str()] {
				return nil, evalError("unknown modifier extension %s", x.Get("url").Str())
			}
		}
	}
	return append(dst, in...), nil
}

// fnGetResourceKey gives the id of each resource: the key that
// getReferenceKey() of a reference to it gives.
func fnGetResourceKey(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	for i := range in {
		if id := in[i].node.Get("id"); id.Kind() == fhir.String && (in[i].typ == nil || in[i].typ.Kind == definitions.Resource) {
			dst = append(dst, Item{val: String(id.Str())})
		}
	}
	return dst, nil
}

// keyType is the type argument of getReferenceKey(), resolved when compiling.
type keyType struct {
	op
	name string
}

// prepareReferenceKey takes the argument as a type name, not as a path.
func prepareReferenceKey(c *compiler, x *expr, o *callOp) (op, error) {
	if len(x.args) == 1 {
		a := x.args[0]
		name := a.name
		if a.kind == exName && a.target != nil && a.target.kind == exName && a.target.name != "FHIR" ||
			a.kind != exName || !c.eng.model.IsResource(name) {
			return nil, c.fail(x, "getReferenceKey() takes a resource type, not %s", a.describe())
		}
		o.args[0] = keyType{emptyOp{}, name}
	}
	return o, nil
}

func fnGetReferenceKey(_ *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	want := ""
	if len(args) == 1 {
		want = args[0].(keyType).name
	}
	for i := range in {
		typ, id := splitReference(reference(&in[i]))
		if id != "" && (want == "" || want == typ) {
			dst = append(dst, Item{val: String(id)})
		}
	}
	return dst, nil
}

// coding is a code to ask a terminology about.
type coding struct{ system, version, code string }

// codings returns what an item says in codes: a code or string, a Coding, each
// Coding of a CodeableConcept, a Quantity's unit.
func codings(it *Item) []coding {
	if it.isLeaf() {
		return []coding{{code: it.String()}}
	}
	n := it.node
	if list := n.Get("coding"); list.Exists() {
		var all []coding
		for c := range list.Each() {
			all = append(all, coding{c.Get("system").Str(), c.Get("version").Str(), c.Get("code").Str()})
		}
		return all
	}
	return []coding{{n.Get("system").Str(), n.Get("version").Str(), n.Get("code").Str()}}
}

var errNoTerminology = fault.New(fault.Unsupported, "no terminology service")

func fnMemberOf(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	vs, ok, err := f.text(args[0], "the value set of memberOf()")
	if err != nil || !ok || len(in) == 0 {
		return dst, err
	}
	if len(in) > 1 {
		return nil, evalError("memberOf() takes one item, not %d", len(in))
	}
	if f.ctx.Terminology == nil {
		return nil, errNoTerminology
	}
	for _, c := range codings(&in[0]) {
		member, err := f.ctx.Terminology.MemberOf(f.ctx.context(), vs, c.system, c.version, c.code)
		if err != nil || member {
			return appendBool(dst, true), err
		}
	}
	return appendBool(dst, false), nil
}

// subsumption makes subsumes() and subsumedBy().
func subsumption(reverse bool) builtin {
	return func(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
		if len(args) > 1 {
			return terminologyCall("subsumes")(f, in, args, dst)
		}
		other, ok, err := f.one(args[0])
		if err != nil || !ok || len(in) != 1 {
			return dst, err
		}
		if f.ctx.Terminology == nil {
			return nil, errNoTerminology
		}
		for _, a := range codings(&in[0]) {
			for _, b := range codings(&other) {
				if a.system == "" {
					a.system = b.system
				}
				if b.system != "" && a.system != b.system {
					continue
				}
				x, y := a.code, b.code
				if reverse {
					x, y = y, x
				}
				hit, err := f.ctx.Terminology.Subsumes(f.ctx.context(), a.system, x, y)
				if err != nil || hit {
					return appendBool(dst, true), err
				}
			}
		}
		return appendBool(dst, false), nil
	}
}

// terminologyCall makes the functions of %terminologies.
func terminologyCall(name string) builtin {
	return func(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
		if len(in) != 1 || in[0].val.kind != KindString || in[0].val.str != terminologiesName {
			return nil, evalError("%s() is a function of %%terminologies", name)
		}
		ops, ok := f.ctx.Terminology.(Operations)
		if !ok {
			return nil, errNoTerminology
		}
		var items []Item
		params := ""
		for i, a := range args {
			it, ok, err := f.one(a)
			if err != nil || !ok {
				return dst, err
			}
			if i > 0 && i == len(args)-1 && it.isValue() && strings.Contains(it.val.str, "=") {
				params = it.val.str
				continue
			}
			items = append(items, it)
		}
		n, err := ops.Operation(f.ctx.context(), name, items, params)
		if err != nil || !n.Exists() {
			return dst, err
		}
		return append(dst, f.eng.Item(n)), nil
	}
}
