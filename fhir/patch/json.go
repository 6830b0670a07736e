package patch

import (
	"fmt"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// JSON applies a JSON Patch (RFC 6902) to a document. All operations apply or
// none does. Errors are fault.Invalid with the operation and the place, or
// fault.TooCostly.
func JSON(doc, patch []byte) ([]byte, error) {
	ops, err := fhir.Parse(patch)
	if err != nil {
		return nil, err
	}
	if ops.Root().Kind() != fhir.Array {
		return nil, refuse(0, "", "patch-form", "JSON Patch 应为操作的数组", "a JSON Patch is an array of operations")
	}
	if ops.Root().Len() > maxOperations {
		return nil, fault.New(fault.TooCostly, "patch of %d operations, over the limit of %d", ops.Root().Len(), maxOperations)
	}
	d, err := open(doc)
	if err != nil {
		return nil, err
	}
	i := 0
	for op := range ops.Root().Children() {
		o := operation{document: d, i: i, op: op}
		if err := o.run(); err != nil {
			return nil, err
		}
		i++
	}
	return d.src, nil
}

// operation is one step of a JSON Patch.
type operation struct {
	*document
	i    int
	op   fhir.Node
	path pointer
}

func (o *operation) refuse(p pointer, key, zh, en string) error {
	return refuse(o.i, p.place(o.root), key, zh, en)
}

func (o *operation) run() error {
	name := o.op.Get("op")
	if o.op.Kind() != fhir.Object || name.Kind() != fhir.String {
		return refuse(o.i, "", "patch-form", "操作缺少 op", "operation without op")
	}
	var err error
	if o.path, err = o.pointer("path"); err != nil {
		return err
	}
	switch name.Str() {
	case "add":
		return o.valued(o.add)
	case "replace":
		return o.valued(o.replace)
	case "test":
		return o.valued(o.test)
	case "remove":
		return o.remove(o.path)
	case "move", "copy":
		return o.transfer(name.Str() == "move")
	}
	return refuse(o.i, "", "patch-op", "未知的操作 "+clip(name.Str()), "unknown operation "+clip(name.Str()))
}

func (o *operation) pointer(member string) (pointer, error) {
	n := o.op.Get(member)
	if n.Kind() == fhir.String {
		if p, ok := parsePointer(n.Str()); ok {
			return p, nil
		}
	}
	return nil, refuse(o.i, "", "patch-pointer", "操作缺少 "+member+"，或它不是 JSON Pointer", "operation without "+member+", or it is no JSON Pointer")
}

func (o *operation) valued(run func(value fhir.Node) error) error {
	v := o.op.Get("value")
	if !v.Exists() {
		return refuse(o.i, "", "patch-form", "操作缺少 value", "operation without value")
	}
	return run(v)
}

func (o *operation) missing(p pointer, steps int) error {
	return o.refuse(p, "patch-target", "位置不存在："+clip(p[:steps+1].place(o.root)), fmt.Sprintf("step %d of the path does not exist", steps+1))
}

func (o *operation) add(value fhir.Node) error { return o.put(o.path, value.Raw()) }

// put adds JSON text at a place: sets a member or inserts an item.
func (o *operation) put(p pointer, text []byte) error {
	if len(p) == 0 {
		return o.load(text)
	}
	parent, steps := p[:len(p)-1].at(o.root)
	if !parent.Exists() {
		return o.missing(p, steps)
	}
	last := p[len(p)-1]
	switch parent.Kind() {
	case fhir.Object:
		return o.set(parent, last, text)
	case fhir.Array:
		i, ok := index(last, parent.Len(), true)
		if !ok {
			return o.refuse(p, "patch-index", "数组下标不存在："+clip(last), "no such index in the array")
		}
		return o.apply(fhir.InsertItem(parent, i, text))
	}
	return o.refuse(p, "patch-target", "此处既不是对象也不是数组", "neither an object nor an array")
}

func (o *operation) replace(value fhir.Node) error {
	n, steps := o.path.at(o.root)
	if !n.Exists() {
		return o.missing(o.path, steps)
	}
	if len(o.path) == 0 {
		return o.load(value.Raw())
	}
	return o.apply(fhir.Replace(n, value.Raw()))
}

func (o *operation) remove(p pointer) error {
	n, steps := p.at(o.root)
	if !n.Exists() {
		return o.missing(p, steps)
	}
	if len(p) == 0 {
		return o.refuse(p, "patch-root", "不能移除整个文档", "the whole document cannot be removed")
	}
	parent, _ := p[:len(p)-1].at(o.root)
	return o.apply(fhir.Remove(parent, n))
}

func (o *operation) test(value fhir.Node) error {
	n, steps := o.path.at(o.root)
	if !n.Exists() {
		return o.missing(o.path, steps)
	}
	if !equal(n, value) {
		return o.refuse(o.path, "patch-test", "test 操作不成立：值不相同", "test failed: the values differ")
	}
	return nil
}

// transfer is move and copy.
func (o *operation) transfer(move bool) error {
	from, err := o.pointer("from")
	if err != nil {
		return err
	}
	n, steps := from.at(o.root)
	if !n.Exists() {
		return o.missing(from, steps)
	}
	if move && from.has(o.path) {
		if len(from) == len(o.path) {
			return nil // to its own place
		}
		return o.refuse(o.path, "patch-move", "不能移动到自身内部", "cannot move into itself")
	}
	text := append([]byte(nil), n.Raw()...)
	if move {
		if err := o.remove(from); err != nil {
			return err
		}
	}
	return o.put(o.path, text)
}
