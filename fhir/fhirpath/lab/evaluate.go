package lab

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

type item = fhirpath.Item

// jsonValue is the extension in which the Lab carries what no value[x] can.
const jsonValue = "http://fhir.forms-lab.com/StructureDefinition/json-value"

// Evaluate answers POST $fhirpath by the convention of the FHIRPath Lab: a
// Parameters resource with expression, resource, and optionally context,
// variables, validate and parseDebugTree comes in; one goes out with the
// parameters as they were read, the parse tree, and a result for each item of
// the context. Errors are faults for the server's OperationOutcome.
func (l *Lab) Evaluate(ctx context.Context, params fhir.Node) ([]byte, error) {
	if params.ResourceType() != "Parameters" {
		return nil, fault.New(fault.Invalid, "$fhirpath takes a Parameters resource")
	}
	job, err := l.job(params)
	if err != nil {
		return nil, err
	}
	groups, x, err := l.Run(ctx, job)
	if err != nil {
		return nil, explain(err)
	}
	out := l.echo(params, job, x)
	for _, g := range groups {
		part := parameter{Name: "result", Part: []parameter{}}
		if g.Context != "" {
			part.ValueString = &g.Context
		}
		for _, it := range g.Items {
			part.Part = append(part.Part, itemParameter(typeName(it), it))
		}
		for _, t := range g.Traces {
			trace := parameter{Name: "trace", ValueString: &t.Name}
			for _, it := range t.Items {
				trace.Part = append(trace.Part, itemParameter(typeName(it), it))
			}
			part.Part = append(part.Part, trace)
		}
		out.Parameter = append(out.Parameter, part)
	}
	return json.Marshal(out)
}

// explain lets the caller see what is wrong with the expression and where: the
// outcome of an error shows no causes otherwise.
func explain(err error) error {
	k := fault.KindOf(err)
	if k == fault.Internal || len(fault.IssuesOf(err)) > 0 {
		return err
	}
	return fault.New(k, "$fhirpath").With(fault.Issue{Severity: "error", Code: "invalid", Key: "fhirpath",
		Text: "表达式不能计算：" + err.Error(), TextEN: "the expression cannot be evaluated: " + err.Error()})
}

type parameters struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id"`
	Parameter    []parameter `json:"parameter"`
}

type parameter struct {
	Name        string          `json:"name"`
	ValueString *string         `json:"valueString,omitempty"`
	Resource    json.RawMessage `json:"resource,omitempty"`
	Extension   []extension     `json:"extension,omitempty"`
	Part        []parameter     `json:"part,omitempty"`

	key   string // value[x] of another type
	value json.RawMessage
}

type extension struct {
	URL         string `json:"url"`
	ValueString string `json:"valueString"`
}

// MarshalJSON adds the value[x] under its own name.
func (p parameter) MarshalJSON() ([]byte, error) {
	type plain parameter
	b, err := json.Marshal(plain(p))
	if err != nil || p.key == "" {
		return b, err
	}
	b = append(b[:len(b)-1], `,"`+p.key+`":`...)
	return append(append(b, p.value...), '}'), nil
}

func text(name, value string) parameter { return parameter{Name: name, ValueString: &value} }

// find returns the parameter of a name.
func find(params fhir.Node, name string) fhir.Node {
	for p := range params.Get("parameter").Each() {
		if p.Get("name").Str() == name {
			return p
		}
	}
	return fhir.Node{}
}

func (l *Lab) job(params fhir.Node) (Job, error) {
	job := Job{Expr: find(params, "expression").Get("valueString").Str(), Context: find(params, "context").Get("valueString").Str(),
		Variables: map[string]fhirpath.Collection{}}
	if job.Expr == "" {
		return job, fault.New(fault.Invalid, "$fhirpath needs a parameter expression")
	}
	job.Strict, _ = find(params, "strict").Get("valueBoolean").Bool()
	res := find(params, "resource")
	job.Resource = res.Get("resource")
	if src := extensionText(res); !job.Resource.Exists() && src != "" {
		var err error
		if job.Resource, err = l.Read([]byte(src)); err != nil {
			return job, err
		}
	} else if src := res.Get("valueString").Str(); !job.Resource.Exists() && src != "" {
		var err error
		if job.Resource, err = l.Read([]byte(src)); err != nil {
			return job, err
		}
	}
	for v := range find(params, "variables").Get("part").Each() {
		c, err := l.labVariable(v)
		if err != nil {
			return job, err
		}
		job.Variables[v.Get("name").Str()] = c
	}
	return job, nil
}

func extensionText(p fhir.Node) string {
	for x := range p.Get("extension").Each() {
		if x.Get("url").Str() == jsonValue {
			return x.Get("valueString").Str()
		}
	}
	return ""
}

func (l *Lab) labVariable(p fhir.Node) (fhirpath.Collection, error) {
	if src := extensionText(p); src != "" {
		n, err := l.Read([]byte(src))
		return l.Variable(n), err
	}
	if res := p.Get("resource"); res.Exists() {
		return fhirpath.Collection{l.Engine.Item(res)}, nil
	}
	for m := range p.Children() {
		if typ, ok := strings.CutPrefix(m.Key(), "value"); ok && typ != "" {
			name := strings.ToLower(typ[:1]) + typ[1:]
			if l.Engine.Model().Type(name) == nil {
				name = typ
			}
			return fhirpath.Collection{l.Engine.ItemOf(m, fhir.Node{}, name)}, nil
		}
	}
	return nil, nil
}

// echo is the first parameter of the answer: what was evaluated, by whom.
func (l *Lab) echo(params fhir.Node, job Job, x *fhirpath.Expression) parameters {
	p := parameter{Name: "parameters", Part: []parameter{text("evaluator", l.Name)}}
	tree, err := json.MarshalIndent(labTree(x.Tree()), "", "  ")
	if err == nil {
		p.Part = append(p.Part, text("parseDebugTree", string(tree)))
	}
	if types, _, err := x.ResultTypes(l.focus(job)); err == nil && len(types) > 0 {
		p.Part = append(p.Part, text("expectedReturnType", strings.Join(types, "|")))
	}
	if job.Context != "" {
		p.Part = append(p.Part, text("context", job.Context))
	}
	p.Part = append(p.Part, text("expression", job.Expr))
	if job.Resource.Exists() && find(params, "resource").Get("resource").Exists() {
		p.Part = append(p.Part, parameter{Name: "resource", Resource: job.Resource.Raw()})
	}
	return parameters{ResourceType: "Parameters", ID: "fhirpath", Parameter: []parameter{p}}
}

func (l *Lab) focus(job Job) string {
	if job.Context != "" || l.Engine.Item(job.Resource).FHIRType() == nil {
		return ""
	}
	return job.Resource.ResourceType()
}

// node is the Lab's form of a parse tree.
type node struct {
	ExpressionType string
	Name           string
	Position       int    `json:",omitempty"`
	Arguments      []node `json:",omitempty"`
}

var expressionTypes = map[string]string{"Constant": "ConstantExpression", "Empty": "EmptyExpression", "Path": "ChildExpression",
	"Function": "FunctionCallExpression", "Axis": "AxisExpression", "Variable": "VariableRefExpression",
	"Indexer": "IndexerExpression", "Operator": "BinaryExpression", "TypeOperator": "TypeExpression", "Type": "IdentifierExpression"}

func labTree(t fhirpath.Tree) node {
	n := node{ExpressionType: expressionTypes[t.Kind], Name: t.Name, Position: t.Pos}
	if t.Kind == "Operator" && len(t.Children) == 1 {
		n.ExpressionType = "UnaryExpression"
	}
	for _, c := range t.Children {
		n.Arguments = append(n.Arguments, labTree(c))
	}
	return n
}

// itemParameter gives an item its value[x], its resource or, for backbone
// elements and plain JSON, the json-value extension.
func itemParameter(name string, it item) parameter {
	p := parameter{Name: name}
	raw := it.AppendJSON(nil)
	typ := it.FHIRType()
	switch {
	case typ != nil && typ.Kind == definitions.Resource:
		p.Resource = raw
	case typ != nil && typ.Kind != definitions.Backbone && string(raw) != "null":
		p.key, p.value = "value"+strings.ToUpper(name[:1])+name[1:], raw
	case typ == nil && name != "object":
		p.Name = strings.ToLower(name[:1]) + name[1:]
		p.key, p.value = "value"+name, raw
		if name == "Quantity" {
			p.Name = name
		}
	default:
		p.Extension = []extension{{URL: jsonValue, ValueString: string(raw)}}
	}
	return p
}
