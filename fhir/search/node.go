package search

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// op is what a node of a query does.
type op uint8

const (
	opLeaf  op = iota // one parameter
	opAll             // every resource of the type
	opIDs             // listed ids, where they exist
	opAnd             // all kids
	opOr              // any kid
	opNot             // not the only kid
	opChain           // the reference param leads to something kids[i] holds for, of type typs[i]
	opHas             // something that kids[0] holds for refers to us by param
)

// node is a condition on resources of one type. Nodes form the tree that the
// planner orders and the executor runs.
type node struct {
	op    op
	typ   *param.Table
	kids  []*node
	leaf  *leaf        // opLeaf
	param *param.Param // opChain, opHas: the reference
	ids   *idSet       // opIDs
	bits  bool         // opLeaf on presence bits: the list itself decides
	label string       // as written, for the plan
	est   int          // estimated resources, set by the planner
	how   string       // what the planner chose, for the plan
}

func not(n *node) *node { return &node{op: opNot, typ: n.typ, kids: []*node{n}} }

func and(t *param.Table, kids []*node) *node {
	switch len(kids) {
	case 0:
		return &node{op: opAll, typ: t}
	case 1:
		return kids[0]
	}
	return &node{op: opAnd, typ: t, kids: kids}
}

func or(t *param.Table, kids []*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{op: opOr, typ: t, kids: kids}
}

// builder turns a parsed query into nodes.
type builder struct {
	ctx   context.Context
	e     *Engine
	ix    Index
	terms Terminology // nil: what needs it is refused
	base  string      // absolute address that is ours, beside the engine's
	now   time.Time
	zone  *time.Location
}

// param builds one name=value on a type.
func (b *builder) param(t *param.Table, name *query.Name, value string) (*node, error) {
	n, err := b.named(t, name, value, 0)
	if err != nil {
		return nil, err
	}
	if n.label == "" {
		n.label = name.String() + "=" + value
	}
	return n, nil
}

func (b *builder) named(t *param.Table, name *query.Name, value string, depth int) (*node, error) {
	if depth > b.e.cfg.Chain {
		return nil, costly("链式检索层数过多", "the chain has too many links", "")
	}
	switch {
	case name.Has != "":
		return b.has(t, name, value, depth)
	case name.Next != nil:
		return b.chain(t, name, value, depth)
	}
	switch name.Code {
	case "_id":
		return b.identities(t, name, value)
	case "_list":
		return b.list(t, value)
	case "_filter":
		return b.filter(t, value)
	}
	p := t.ByCode[name.Code]
	if p == nil {
		return nil, unknownParam(t, name.Code, controls)
	}
	return b.clause(t, p, name.Modifier, value)
}

// has builds a reverse chain: some resource of another type refers to us.
func (b *builder) has(t *param.Table, name *query.Name, value string, depth int) (*node, error) {
	from := b.e.cat.Types[name.Has]
	if from == nil {
		return nil, unknownType(name.Has, b.e.cat.Model.Resources())
	}
	ref := from.ByCode[name.Code]
	if ref == nil {
		return nil, unknownParam(from, name.Code, nil)
	}
	if ref.Kind != param.Reference {
		return nil, notReference(ref)
	}
	inner, err := b.named(from, name.Next, value, depth+1)
	if err != nil {
		return nil, err
	}
	return &node{op: opHas, typ: t, param: ref, kids: []*node{inner}}, nil
}

// chain builds a condition on what a reference leads to. Without a type it is
// tried on every target type that has the parameter.
func (b *builder) chain(t *param.Table, name *query.Name, value string, depth int) (*node, error) {
	ref := t.ByCode[name.Code]
	if ref == nil {
		return nil, unknownParam(t, name.Code, nil)
	}
	if ref.Kind != param.Reference {
		return nil, notReference(ref)
	}
	types := b.e.cat.Targets(ref)
	if name.Modifier != "" {
		if b.e.cat.Types[name.Modifier] == nil {
			return nil, unknownType(name.Modifier, types)
		}
		types = []string{name.Modifier}
	}
	n := &node{op: opChain, typ: t, param: ref}
	var first error
	for _, typ := range types {
		target := b.e.cat.Types[typ]
		if target == nil {
			continue
		}
		inner, err := b.named(target, name.Next, value, depth+1)
		if err == nil {
			n.kids = append(n.kids, inner)
		} else if first == nil {
			first = err
		}
	}
	if len(n.kids) == 0 {
		return nil, first
	}
	return n, nil
}

func notReference(p *param.Param) error {
	return invalid("not-a-reference", "检索参数 "+p.Code+" 不是引用，不能链式检索", "search parameter "+p.Code+" is no reference and cannot be chained", "")
}

func unknownType(name string, types []string) *fault.Error {
	return invalid("unknown-resource-type", "没有资源类型 “"+name+"”", "unknown resource type "+quote(name), suggestion(name, types))
}
