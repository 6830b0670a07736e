package patch

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// null stands in a list of primitives where one side has nothing.
const null = "null"

// size is the length of a list element: of its values or of their twins with the
// underscore, whichever is longer.
func size(object fhir.Node, key string) int {
	return max(object.Get(key).Len(), object.Get("_"+key).Len())
}

// present reports whether an object has an element in any of its forms.
func present(object fhir.Node, t *definitions.Type, el *definitions.Element) bool {
	for m := range object.Children() {
		if e, _ := t.JSONElement(m.Key()); e == el {
			return true
		}
	}
	return false
}

// setAt gives an object the member and its twin; a side that is nil is removed.
func (o *change) setAt(object pointer, v content) error {
	if err := o.setOrDrop(object, v.key, v.json); err != nil {
		return err
	}
	return o.setOrDrop(object, "_"+v.key, v.extra)
}

// setOrDrop sets a member to JSON text, or removes it if the text is nil.
func (o *change) setOrDrop(object pointer, key string, text []byte) error {
	n, _ := object.at(o.root)
	old := n.Get(key)
	switch {
	case text != nil:
		return o.set(n, key, text)
	case old.Exists():
		return o.apply(fhir.Remove(n, old))
	}
	return nil
}

// insertAt puts content into a list before s.index, on both sides of a primitive:
// where one side has nothing it gets null, so that the two stay in step.
func (o *change) insertAt(s slot, v content) error {
	for _, side := range []struct {
		key  string
		text []byte
	}{{s.key, v.json}, {"_" + s.key, v.extra}} {
		object, _ := s.object.at(o.root)
		list := object.Get(side.key)
		if side.text == nil {
			if !list.Exists() || list.Len() < s.index {
				continue
			}
			side.text = []byte(null)
		}
		if err := o.putItem(s.object, side.key, s.index, side.text); err != nil {
			return err
		}
	}
	return nil
}

// putItem inserts text into a list before item i, making the list or filling it up
// with null if need be.
func (o *change) putItem(object pointer, key string, i int, text []byte) error {
	n, _ := object.at(o.root)
	list := n.Get(key)
	if list.Exists() && list.Kind() != fhir.Array {
		return o.refuse("patch-target", "元素 "+key+" 不是数组", "element "+key+" is not an array")
	}
	if pad := i - list.Len(); pad > 0 {
		text = append(bytes.Repeat([]byte("null,"), pad), text...)
	}
	if !list.Exists() {
		return o.set(n, key, append(append([]byte{'['}, text...), ']'))
	}
	return o.apply(fhir.InsertItem(list, i, text))
}

// removeAt takes an item out of a list on both sides. A list that holds nothing
// any more goes too.
func (o *change) removeAt(s slot) error {
	for _, key := range []string{s.key, "_" + s.key} {
		object, _ := s.object.at(o.root)
		list := object.Get(key)
		it := list.At(s.index)
		var err error
		switch {
		case !it.Exists():
			continue
		case onlyNull(list, it):
			err = o.apply(fhir.Remove(object, list))
		default:
			err = o.apply(fhir.Remove(list, it))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// onlyNull reports whether all items but one are null.
func onlyNull(list, but fhir.Node) bool {
	for it := range list.Children() {
		if !it.Same(but) && it.Kind() != fhir.Null {
			return false
		}
	}
	return true
}

func (o *change) replaceItem(s slot, v content) error {
	for _, side := range []struct {
		key  string
		text []byte
	}{{s.key, v.json}, {"_" + s.key, v.extra}} {
		object, _ := s.object.at(o.root)
		it := object.Get(side.key).At(s.index)
		text := side.text
		if text == nil {
			text = []byte(null)
		}
		var err error
		switch {
		case it.Exists():
			err = o.apply(fhir.Replace(it, text))
		case side.text != nil:
			err = o.putItem(s.object, side.key, s.index, text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list finds the list that the path selects: all items of one element.
func (o *change) list() (s slot, n int, err error) {
	items, err := o.eval(o.expr)
	if err != nil {
		return s, 0, err
	}
	if len(items) == 0 {
		return o.emptyList()
	}
	if s, err = o.locate(items[0]); err != nil {
		return s, 0, err
	}
	object, _ := s.object.at(o.root)
	if n = size(object, s.key); s.index != 0 || n != len(items) {
		return s, 0, o.refuse("patch-target", "路径应选中一个完整的列表", "the path must select the whole of one list")
	}
	return s, n, nil
}

// emptyList finds the place for a list that has no items yet: the path without its
// last step selects the owner.
func (o *change) emptyList() (slot, int, error) {
	dot := strings.LastIndexByte(o.expr, '.')
	if dot > 0 && isName(o.expr[dot+1:]) {
		items, err := o.eval(o.expr[:dot])
		if err != nil {
			return slot{}, 0, err
		}
		if len(items) == 1 {
			el := items[0].FHIRType().Element(o.expr[dot+1:])
			if el != nil && el.Max != 1 && items[0].FHIRType().Kind != definitions.Primitive {
				object, err := o.objectOf(items[0])
				return slot{object, el.Name, 0}, 0, err
			}
		}
	}
	return slot{}, 0, o.refuse("patch-target", "路径没有选中任何列表", "the path selects no list")
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && i > 0) {
			return false
		}
	}
	return s != ""
}

func (o *change) insert() error {
	s, n, err := o.list()
	if err != nil {
		return err
	}
	i, err := o.number("index")
	if err != nil {
		return err
	}
	if i > n {
		return o.refuse("patch-index", "下标 "+strconv.Itoa(i)+" 超出列表长度 "+strconv.Itoa(n), "index beyond the list")
	}
	_, v, err := o.value(o.owner(s), s.key)
	if err != nil {
		return err
	}
	s.index = i
	return o.insertAt(s, v)
}

// move takes an item out of a list and puts it back where destination says,
// counted without the item.
func (o *change) move() error {
	s, n, err := o.list()
	if err != nil {
		return err
	}
	from, err := o.number("source")
	if err != nil {
		return err
	}
	to, err := o.number("destination")
	if err != nil {
		return err
	}
	if from >= n || to >= n {
		return o.refuse("patch-index", "下标超出列表长度 "+strconv.Itoa(n), "index beyond the list")
	}
	object, _ := s.object.at(o.root)
	v := content{key: s.key, json: raw(object.Get(s.key).At(from)), extra: raw(object.Get("_" + s.key).At(from))}
	s.index = from
	if n == 1 {
		return nil
	}
	for _, key := range []string{s.key, "_" + s.key} {
		object, _ := s.object.at(o.root)
		list := object.Get(key)
		if it := list.At(from); it.Exists() {
			if err := o.apply(fhir.Remove(list, it)); err != nil {
				return err
			}
		}
	}
	s.index = to
	return o.insertAt(s, v)
}

func raw(n fhir.Node) []byte {
	if !n.Exists() {
		return nil
	}
	return append([]byte(nil), n.Raw()...)
}
