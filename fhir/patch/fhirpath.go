package patch

import (
	"slices"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// FHIRPath applies a FHIRPath Patch, a Parameters resource in JSON, to a resource.
// All operations apply or none does. Errors are fault.Invalid with the operation
// and the place, or fault.TooCostly.
func FHIRPath(fp *fhirpath.Engine, resource, parameters []byte) ([]byte, error) {
	params, err := fhir.Parse(parameters)
	if err != nil {
		return nil, err
	}
	if params.Root().ResourceType() != "Parameters" {
		return nil, refuse(0, "", "patch-form", "FHIRPath Patch 应为 Parameters 资源", "a FHIRPath Patch is a Parameters resource")
	}
	d, err := open(resource)
	if err != nil {
		return nil, err
	}
	i := 0
	for p := range params.Root().Get("parameter").Each() {
		if p.Get("name").Str() != "operation" {
			return nil, refuse(i, "", "patch-form", "参数名应为 operation", "the parameter's name must be operation")
		}
		if i >= maxChanges {
			return nil, fault.New(fault.TooCostly, "patch of more than %d operations", maxChanges)
		}
		o := change{document: d, fp: fp, i: i, parts: p.Get("part")}
		if err := o.run(); err != nil {
			return nil, err
		}
		i++
	}
	return d.src, nil
}

// change is one operation of a FHIRPath Patch.
type change struct {
	*document
	fp    *fhirpath.Engine
	i     int
	parts fhir.Node
	expr  string
}

// slot is where an element stands: a member of an object, and the index in its
// array, -1 if it is no list.
type slot struct {
	object pointer
	key    string // without the underscore
	index  int
}

func (o *change) refuse(key, zh, en string) error { return refuse(o.i, o.expr, key, zh, en) }

func (o *change) part(name string) fhir.Node {
	for p := range o.parts.Each() {
		if p.Get("name").Str() == name {
			return p
		}
	}
	return fhir.Node{}
}

// text returns a part's value as text, whatever its type.
func (o *change) text(name string) string {
	_, v := partValue(o.part(name))
	return v.Str()
}

func (o *change) number(name string) (int, error) {
	i, err := strconv.Atoi(o.text(name))
	if err != nil || i < 0 {
		return 0, o.refuse("patch-index", "缺少整数 "+name, "an integer "+name+" is needed")
	}
	return i, nil
}

func (o *change) run() error {
	o.expr = o.text("path")
	if o.expr == "" {
		return o.refuse("patch-form", "操作缺少 path", "operation without path")
	}
	switch typ := o.text("type"); typ {
	case "add":
		return o.add()
	case "insert":
		return o.insert()
	case "delete":
		return o.delete()
	case "replace":
		return o.replace()
	case "move":
		return o.move()
	default:
		return o.refuse("patch-op", "未知的操作 "+clip(typ), "unknown operation "+clip(typ))
	}
}

// eval returns what the expression selects in the document as it is now.
func (o *change) eval(expr string) (fhirpath.Collection, error) {
	x, err := o.fp.Compile(expr)
	if err != nil {
		return nil, err
	}
	if readsClock(x.Tree()) {
		return nil, o.refuse("patch-clock", "补丁的路径不能使用当前时间", "a path of a patch cannot ask for the time")
	}
	if o.work += len(o.src); o.work > maxWork {
		return nil, fault.New(fault.TooCostly, "patch: too much work")
	}
	return x.Eval(&fhirpath.Context{Limits: fhirpath.Limits{Steps: maxSteps}}, o.root)
}

// readsClock finds now(), today() and timeOfDay(): a patch is applied from the log,
// again and on other nodes, and must do the same each time.
func readsClock(t fhirpath.Tree) bool {
	if t.Kind == "Function" {
		switch t.Name {
		case "now", "today", "timeOfDay":
			return true
		}
	}
	return slices.ContainsFunc(t.Children, readsClock)
}

// one returns the single element the path selects.
func (o *change) one() (fhirpath.Item, error) {
	items, err := o.eval(o.expr)
	switch {
	case err != nil:
		return fhirpath.Item{}, err
	case len(items) == 0:
		return fhirpath.Item{}, o.refuse("patch-target", "路径没有选中任何元素", "the path selects nothing")
	case len(items) > 1:
		return fhirpath.Item{}, o.refuse("patch-target", "路径选中了多个元素", "the path selects several elements")
	}
	return items[0], nil
}

// locate finds where an item stands in the document.
func (o *change) locate(it fhirpath.Item) (slot, error) {
	n, ok := it.Node()
	if !ok {
		n = it.Extension()
	}
	if n.Tree() != o.root.Tree() || !n.Exists() {
		return slot{}, o.refuse("patch-target", "路径选中的不是资源中的元素", "the path selects no element of the resource")
	}
	p, ok := trace(o.root, n)
	if !ok || len(p) == 0 {
		return slot{}, o.refuse("patch-target", "此操作不能用于整个资源", "not for the whole resource")
	}
	s := slot{object: p[:len(p)-1], key: p[len(p)-1], index: -1}
	if parent, _ := s.object.at(o.root); parent.Kind() == fhir.Array {
		s.index, _ = strconv.Atoi(s.key)
		s.key = s.object[len(s.object)-1]
		s.object = s.object[:len(s.object)-1]
	}
	if s.key[0] == '_' {
		s.key = s.key[1:]
	}
	return s, nil
}

// owner returns the type of the object a slot is in, by walking the definitions
// down from the resource.
func (o *change) owner(s slot) *definitions.Type {
	m := o.fp.Model()
	n := o.root
	t := m.Type(n.ResourceType())
	for _, tok := range s.object {
		if n.Kind() == fhir.Object {
			t = child(t, tok)
		}
		n = step(n, tok)
		if n.Kind() == fhir.Object && t != nil && t.Kind == definitions.Resource {
			t = m.Type(n.ResourceType())
		}
	}
	return t
}

// child is the type of a member.
func child(t *definitions.Type, key string) *definitions.Type {
	el, ref := t.JSONElement(key)
	switch {
	case el == nil:
		return nil
	case el.Content != nil:
		return el.Content
	}
	return ref.Type
}

func (o *change) add() error {
	it, err := o.one()
	if err != nil {
		return err
	}
	name := o.text("name")
	typ := it.FHIRType()
	el, v, err := o.value(typ, name)
	if err != nil {
		return err
	}
	object, err := o.objectOf(it)
	if err != nil {
		return err
	}
	n, _ := object.at(o.root)
	if el.Max != 1 {
		return o.insertAt(slot{object, v.key, size(n, v.key)}, v)
	}
	if present(n, typ, el) {
		return o.refuse("patch-exists", "元素 "+name+" 已存在，请用 replace", "element "+name+" exists already: use replace")
	}
	return o.setAt(object, v)
}

// objectOf is the pointer to an item's members: of a primitive those of its twin
// with the underscore, which is made if need be.
func (o *change) objectOf(it fhirpath.Item) (pointer, error) {
	t := it.FHIRType()
	if t == nil {
		return nil, o.refuse("patch-target", "路径选中的不是 FHIR 元素", "the path selects no FHIR element")
	}
	if t.Kind != definitions.Primitive {
		n, _ := it.Node()
		p, ok := trace(o.root, n)
		if !ok || n.Tree() != o.root.Tree() {
			return nil, o.refuse("patch-target", "路径选中的不是资源中的元素", "the path selects no element of the resource")
		}
		return p, nil
	}
	s, err := o.locate(it)
	if err != nil {
		return nil, err
	}
	return o.twin(s)
}

// twin is the pointer to the object with a primitive's id and extensions.
func (o *change) twin(s slot) (pointer, error) {
	p := append(append(pointer{}, s.object...), "_"+s.key)
	owner, _ := s.object.at(o.root)
	list := owner.Get("_" + s.key)
	if s.index < 0 {
		if list.Exists() {
			return p, nil
		}
		return p, o.set(owner, "_"+s.key, []byte("{}"))
	}
	p = append(p, strconv.Itoa(s.index))
	if it := list.At(s.index); it.Kind() == fhir.Object {
		return p, nil
	} else if it.Exists() {
		return p, o.apply(fhir.Replace(it, []byte("{}")))
	}
	return p, o.putItem(s.object, "_"+s.key, s.index, []byte("{}"))
}

func (o *change) replace() error {
	it, err := o.one()
	if err != nil {
		return err
	}
	s, err := o.locate(it)
	if err != nil {
		return err
	}
	owner := o.owner(s)
	el, _ := owner.JSONElement(s.key)
	if el == nil {
		return o.refuse("patch-target", "元素未定义", "the element is not defined")
	}
	_, v, err := o.value(owner, el.Name)
	if err != nil {
		return err
	}
	if s.index >= 0 {
		return o.replaceItem(s, v)
	}
	if v.key == s.key {
		return o.setAt(s.object, v)
	}
	if err := o.setAt(s.object, content{key: s.key}); err != nil { // a choice takes another type
		return err
	}
	return o.setAt(s.object, v)
}

func (o *change) delete() error {
	items, err := o.eval(o.expr)
	if err != nil || len(items) == 0 {
		return err // what is not there need not go
	}
	if len(items) > 1 {
		return o.refuse("patch-target", "路径选中了多个元素", "the path selects several elements")
	}
	s, err := o.locate(items[0])
	if err != nil {
		return err
	}
	if s.index >= 0 {
		if err := o.removeAt(s); err != nil {
			return err
		}
	} else if err := o.setAt(s.object, content{key: s.key}); err != nil {
		return err
	}
	return o.prune(s.object)
}

// prune removes an object that a deletion left empty, and then its own parents
// that become empty by that: FHIR has no empty elements.
func (o *change) prune(p pointer) error {
	for len(p) > 0 {
		n, _ := p.at(o.root)
		if n.Len() > 0 {
			return nil
		}
		p = p[:len(p)-1]
		parent, _ := p.at(o.root)
		if err := o.apply(fhir.Remove(parent, n)); err != nil {
			return err
		}
	}
	return nil
}
