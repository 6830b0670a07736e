package fhirpath

import (
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// exprKind is the sort of a parse tree node.
type exprKind uint8

const (
	exLiteral  exprKind = iota // value
	exEmpty                    // {}
	exName                     // name, on target if there is one
	exCall                     // name(args), on target if there is one
	exThis                     // $this
	exIndex                    // $index
	exTotal                    // $total
	exVariable                 // %name
	exIndexer                  // target[args[0]]
	exUnary                    // name is + or -; args[0]
	exBinary                   // name is the operator; args[0], args[1]
	exType                     // name is "is" or "as"; args[0], typ
)

// expr is a node of the parse tree.
type expr struct {
	kind   exprKind
	pos    int
	name   string
	target *expr
	args   []*expr
	value  Value
	typ    typeName
	paren  bool // stood in parentheses, so that it is no constant sort key
}

// typeName is a type specifier: namespace is "FHIR", "System" or "".
type typeName struct{ namespace, name string }

func (t typeName) String() string {
	if t.namespace == "" {
		return t.name
	}
	return t.namespace + "." + t.name
}

// SyntaxError is an expression that is not FHIRPath.
type SyntaxError struct {
	Source string
	Pos    int // byte offset in Source
	Msg    string
}

// Error says what is wrong and where.
func (e *SyntaxError) Error() string {
	line := 1 + strings.Count(e.Source[:e.Pos], "\n")
	col := e.Pos - strings.LastIndexByte(e.Source[:e.Pos], '\n')
	return fmt.Sprintf("line %d, column %d: %s", line, col, e.Msg)
}

// fault wraps e in the hub's vocabulary.
func (e *SyntaxError) fault() error {
	return fault.New(fault.Invalid, "FHIRPath syntax: %w", e)
}

func (x *expr) describe() string {
	switch x.kind {
	case exName, exCall, exBinary, exUnary, exType:
		return x.name
	case exVariable:
		return "%" + x.name
	case exThis:
		return "$this"
	case exIndex:
		return "$index"
	case exTotal:
		return "$total"
	case exIndexer:
		return "[]"
	case exEmpty:
		return "{}"
	}
	return x.value.String()
}

// Tree is a read-only view of a parsed expression, for tools that show it.
type Tree struct {
	Kind     string // e.g. "Path", "Function", "Operator", "Constant"
	Name     string
	Pos      int
	Children []Tree
}

var treeKinds = [...]string{"Constant", "Empty", "Path", "Function", "Axis", "Axis", "Axis", "Variable",
	"Indexer", "Operator", "Operator", "TypeOperator"}

func (x *expr) tree() Tree {
	t := Tree{Kind: treeKinds[x.kind], Name: x.describe(), Pos: x.pos}
	if x.target != nil {
		t.Children = append(t.Children, x.target.tree())
	}
	for _, a := range x.args {
		t.Children = append(t.Children, a.tree())
	}
	if x.kind == exType {
		t.Children = append(t.Children, Tree{Kind: "Type", Name: x.typ.String(), Pos: x.pos})
	}
	return t
}
