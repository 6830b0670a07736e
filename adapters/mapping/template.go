package mapping

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// group is what stands under resources: resources, or further groups, for every
// item of a path.
type group struct {
	each     []*expression // nil: once
	segment  string        // variable that holds the item, "" if none
	when     *expression
	lets     []binding
	resource *resource // nil: groups
	groups   []group
}

// resource is the template of one resource or document.
type resource struct {
	typ       string
	line      int
	write     Write
	id        *expression
	condition *expression // search of a conditional write
	unless    *expression // Type/id of a resource that knows better
	body      *object
}

func (r *compiling) groups(n *yaml.Node, s scope) []group {
	var out []group
	for _, item := range list(n) {
		if item = resolved(item); item.Kind != yaml.MappingNode {
			r.fail(item, "resources 的每一项应为资源模板", "例如 - Patient: {…}")
			continue
		}
		out = append(out, r.group(item, s))
	}
	return out
}

func (r *compiling) group(n *yaml.Node, s scope) (g group) {
	d := r.directives(n)
	if d.each != nil {
		g.each, g.segment = r.each(d.each, s)
		s = s.inside(g.segment)
	}
	g.lets = r.bindings(d.lets, s)
	if d.when != nil {
		g.when = r.expression(d.when, s)
	}
	for _, use := range list(d.use) {
		text, ok := r.templates[use.Value]
		if !ok {
			r.fail(use, "没有模板 %s", "在 templates 中定义，或用 uses 引入库", use.Value)
			continue
		}
		if r.depth++; r.depth > maxNest {
			r.fail(use, "模板嵌套过深", "模板不能使用自己")
			return g
		}
		g.groups = append(g.groups, r.groups(text, s)...)
		r.depth--
	}
	for _, m := range d.members {
		if m.key.Value == "resources" {
			g.groups = append(g.groups, r.groups(m.value, s)...)
			continue
		}
		if g.resource != nil {
			r.fail(m.key, "一项只能有一个资源，%s 是第二个", "分成两项", m.key.Value)
			continue
		}
		g.resource = r.resource(m.key, m.value, d, s)
	}
	if g.resource == nil && g.groups == nil {
		r.fail(n, "没有资源模板", "例如 Patient: {…}")
	}
	return g
}

func (r *compiling) resource(key, body *yaml.Node, d directives, s scope) *resource {
	res := &resource{typ: key.Value, line: key.Line, write: Write(d.write)}
	var typ *definitions.Type
	if !slices.Contains(r.shapes, key.Value) {
		if typ = r.model.Type(key.Value); typ == nil || !r.model.IsResource(key.Value) {
			r.fail(key, "没有资源类型 %s", "用 FHIR R4 的资源名", key.Value)
			return nil
		}
	}
	if res.write == "" {
		res.write = Replace
	}
	if !slices.Contains([]Write{Replace, Merge, CreateOnly, Delete}, res.write) {
		r.fail(key, "不认识的 $write: %s", "可用：replace merge create delete", d.write)
	}
	if d.condition != nil {
		res.condition = r.expression(d.condition, s)
	}
	if d.unless != nil {
		res.unless = r.expression(d.unless, s)
	}
	inner, ok := r.mapping(body, elementType{typ: typ, resource: true}, s).(*object)
	if !ok {
		r.fail(body, "%s 应为键值结构", "", key.Value)
		return nil
	}
	res.body = inner
	if i := slices.IndexFunc(inner.members, func(m member) bool { return m.key == "id" }); i >= 0 {
		if v, ok := inner.members[i].node.(*value); ok {
			res.id = v.expr
		}
		inner.members = slices.Delete(inner.members, i, i+1)
	}
	if typ != nil && res.id == nil && res.condition == nil {
		r.fail(key, "%s 没有 id 也没有 $condition", "给出 id: =id('…', 键…)，使同一事物总是同一资源", key.Value)
	}
	return res
}

// directives are the keys of a mapping that begin with $.
type directives struct {
	each, when, lets, use, code, of, system, display, text *yaml.Node
	condition, unless                                      *yaml.Node
	write                                                  string
	members                                                []pair
}

type pair struct{ key, value *yaml.Node }

func (r *compiling) directives(n *yaml.Node) (d directives) {
	for k, v := range pairs(n) {
		switch k.Value {
		case "$for":
			d.each = v
		case "$if":
			d.when = v
		case "$let":
			d.lets = v
		case "$use":
			d.use = v
		case "$code":
			d.code = v
		case "$of":
			d.of = v
		case "$system":
			d.system = v
		case "$display":
			d.display = v
		case "$text":
			d.text = v
		case "$condition":
			d.condition = v
		case "$unless":
			d.unless = v
		case "$write":
			d.write = v.Value
		default:
			if strings.HasPrefix(k.Value, "$") {
				r.fail(k, "不认识的指令 %s", "可用：$for $if $let $use $code $of $system $display $text $write $condition $unless", k.Value)
				continue
			}
			d.members = append(d.members, pair{k, v})
		}
	}
	return d
}

// elementType is what is known of the place a value stands in.
type elementType struct {
	typ      *definitions.Type // nil: untyped
	list     bool
	resource bool
}

// node compiles the value of a member. A list in the place of one value holds
// alternatives: the first that gives something stands.
func (r *compiling) node(n *yaml.Node, t elementType, s scope) node {
	switch n = resolved(n); n.Kind {
	case yaml.SequenceNode:
		out := &sequence{}
		for i, item := range n.Content {
			if t.typ != nil && !t.list && i+1 < len(n.Content) && item.Kind == yaml.ScalarNode && !strings.HasPrefix(item.Value, "=") {
				r.fail(n, "这里只能有一个值", "一个固定值之后的不会被用到")
			}
			x := r.node(item, elementType{typ: t.typ, list: true}, s)
			if x == nil {
				continue
			}
			out.items = append(out.items, x)
			out.cls = max(out.cls, x.class())
		}
		return out
	case yaml.MappingNode:
		return r.mapping(n, t, s)
	}
	return r.scalar(n, t, s)
}

func (r *compiling) scalar(n *yaml.Node, t elementType, s scope) node {
	if t.typ != nil && t.typ.Kind != definitions.Primitive {
		if strings.HasPrefix(n.Value, "=") && t.typ.Name == "Reference" {
			if x := r.expression(n, s); x != nil {
				return &value{expr: x, reference: true, cls: classOf(x)}
			}
			return nil
		}
		r.fail(n, "%s 不是简单值", "写出它的各元素", t.typ.Name)
		return nil
	}
	if strings.HasPrefix(n.Value, "=") {
		x := r.expression(n, s)
		if x == nil {
			return nil
		}
		return &value{expr: x, typ: t.typ, cls: classOf(x)}
	}
	return r.literal(n, t.typ)
}

func classOf(x *expression) class {
	if x.reads {
		return fromMessage
	}
	return fromVariable
}

func (r *compiling) literal(n *yaml.Node, typ *definitions.Type) node {
	if n.Tag == "!!null" || n.Value == "" {
		r.fail(n, "空值", "删去该键，或给出值")
		return nil
	}
	raw := typ == nil && (n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool")
	if typ != nil {
		switch typ.Name {
		case "boolean", "integer", "positiveInt", "unsignedInt", "decimal":
			raw = true
			if n.Tag == "!!str" {
				r.fail(n, "%s 不是 %s", "", n.Value, typ.Name)
			}
		}
	}
	if raw {
		return &literal{json: []byte(n.Value), line: n.Line}
	}
	return &literal{json: fhir.AppendString(nil, n.Value), line: n.Line}
}

// mapping compiles an object with its directives.
func (r *compiling) mapping(n *yaml.Node, t elementType, s scope) node {
	if n = resolved(n); n.Kind != yaml.MappingNode {
		return nil
	}
	if r.depth++; r.depth > maxNest {
		r.fail(n, "模板嵌套过深", "模板不能使用自己")
		r.depth--
		return nil
	}
	defer func() { r.depth-- }()
	d := r.directives(n)
	var each []*expression
	segment := ""
	if d.each != nil {
		if each, segment = r.each(d.each, s); each == nil {
			return nil
		}
		s = s.inside(segment)
	}
	var when *expression
	lets := r.bindings(d.lets, s)
	if d.when != nil {
		when = r.expression(d.when, s)
	}
	inner := r.content(n, d, t, s)
	if inner == nil {
		return nil
	}
	if each == nil && when == nil && lets == nil {
		return inner
	}
	cls := inner.class()
	if each != nil {
		cls = fromMessage
	}
	return &loop{each: each, segment: segment, when: when, lets: lets, body: inner, cls: cls}
}

func (r *compiling) content(n *yaml.Node, d directives, t elementType, s scope) node {
	if d.code != nil {
		return r.coded(n, d, t, s)
	}
	o := &object{typ: t.typ, line: n.Line}
	for _, use := range list(d.use) {
		text, ok := r.templates[use.Value]
		if !ok {
			r.fail(use, "没有模板 %s", "在 templates 中定义，或用 uses 引入库", use.Value)
			return nil
		}
		part := len(d.members) > 0 || len(list(d.use)) > 1
		if part {
			r.parts++
		}
		inner := r.node(text, t, s)
		if part {
			r.parts--
		}
		if inner == nil {
			return nil
		}
		if base, ok := inner.(*object); ok && part {
			o.adopt(base)
			continue
		}
		if part {
			r.fail(use, "模板 %s 不能与别的元素合并", "该模板有 $for 或 $if", use.Value)
		}
		return inner
	}
	for _, m := range d.members {
		r.member(o, m, s)
	}
	r.finish(o, n, t)
	return o
}

// adopt takes the members of a template.
func (o *object) adopt(base *object) {
	for _, m := range base.members {
		o.set(m)
	}
}

// set adds a member, in the place of one with its name.
func (o *object) set(m member) {
	for i := range o.members {
		if o.members[i].key == m.key {
			o.members[i] = m
			return
		}
	}
	o.members = append(o.members, m)
}

func (r *compiling) member(o *object, p pair, s scope) {
	m := member{key: p.key.Value}
	t := elementType{}
	if o.typ != nil {
		el, ref := o.typ.JSONElement(m.key)
		if el == nil || m.key == "contained" || strings.HasPrefix(m.key, "_") {
			r.fail(p.key, "%s 没有元素 %s", "可用："+strings.Join(o.typ.JSONNames(), " "), o.typ.Name, m.key)
			return
		}
		m.element = el
		t = elementType{typ: el.Content, list: el.Max != 1}
		if el.Content == nil && ref != nil {
			t.typ = ref.Type
		}
	} else {
		t.list = resolved(p.value).Kind == yaml.SequenceNode
	}
	m.list = t.list
	if m.node = r.node(p.value, t, s); m.node == nil {
		return
	}
	m.prefix = append(fhir.AppendString(nil, m.key), ':')
	o.set(m)
}

// finish finds what the type demands and the template does not have.
func (r *compiling) finish(o *object, n *yaml.Node, t elementType) {
	for _, m := range o.members {
		if m.key != "id" || !t.resource {
			o.cls = max(o.cls, m.node.class())
		}
	}
	if o.typ == nil {
		return
	}
	for _, el := range o.typ.Elements {
		if el.Min < 1 {
			continue
		}
		o.required = append(o.required, el)
		if r.parts == 0 && !slices.ContainsFunc(o.members, func(m member) bool { return m.element == el }) {
			r.fail(n, "%s 缺少必需的元素 %s", "给出 "+el.Name, o.typ.Name, el.Name)
		}
	}
	if len(o.required) > 32 {
		r.fail(n, "%s 的必需元素过多："+strconv.Itoa(len(o.required)), "", o.typ.Name)
	}
}
