package graphql

import (
	"errors"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// parse reads and validates a query and fills in the variables' defaults.
func (s *Service) parse(sch *schema, r *Request) (*ast.OperationDefinition, *ast.QueryDocument, error) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: r.Query}, s.limits.Tokens)
	if err != nil {
		var at *gqlerror.Error
		if !errors.As(err, &at) {
			at = gqlerror.Wrap(err)
		}
		return nil, nil, refuse(gqlerror.List{at})
	}
	op := operationOf(doc, r.Operation)
	switch {
	case op == nil:
		return nil, nil, invalid("operationName 应指明要执行的操作", "operationName must name the operation to run", nil)
	case op.Operation != ast.Query:
		return nil, nil, fault.New(fault.Unsupported, "only queries").With(fault.Issue{Severity: "error", Code: "not-supported", Key: "graphql",
			Text: "GraphQL 只提供查询（query）", TextEN: "GraphQL is for queries only"})
	}
	if err := s.deep(doc, op.SelectionSet, 0, map[string]bool{}); err != nil {
		return nil, nil, err
	}
	for _, o := range doc.Operations {
		loosen(o.SelectionSet)
	}
	for _, f := range doc.Fragments {
		loosen(f.SelectionSet)
	}
	if errs := validator.ValidateWithRules(sch.at(r.Type), doc, ruleSet()); len(errs) > 0 {
		return nil, nil, refuse(errs)
	}
	vars := map[string]any{}
	for _, v := range op.VariableDefinitions {
		given, ok := r.Variables[v.Variable]
		switch {
		case ok:
			vars[v.Variable] = given
		case v.DefaultValue != nil:
			if vars[v.Variable], err = v.DefaultValue.Value(nil); err != nil {
				return nil, nil, invalid("变量的默认值不对", "a variable's default is wrong", v.Position)
			}
		case v.Type.NonNull:
			return nil, nil, invalid("缺少变量 $"+v.Variable, "the variable $"+v.Variable+" is missing", v.Position)
		}
	}
	r.Variables = vars
	return op, doc, nil
}

// ruleSet is GraphQL's, save that variables of any type may stand for what is
// searched for: $name: String where a SearchValue is wanted.
func ruleSet() *rules.Rules {
	set := rules.NewDefaultRules()
	set.RemoveRule(rules.VariablesInAllowedPositionRule.Name)
	return set
}

// deep refuses a query that is nested too deeply, or whose fragments spread
// themselves, before anything walks it.
func (s *Service) deep(doc *ast.QueryDocument, set ast.SelectionSet, depth int, open map[string]bool) error {
	if depth > s.limits.Depth {
		return fault.New(fault.TooCostly, "query nested too deeply").With(fault.Issue{Severity: "error", Code: "too-costly", Key: "graphql",
			Text: "GraphQL 查询嵌套过深", TextEN: "the GraphQL query is nested too deeply"})
	}
	for _, sel := range set {
		var err error
		switch sel := sel.(type) {
		case *ast.Field:
			err = s.deep(doc, sel.SelectionSet, depth+1, open)
		case *ast.InlineFragment:
			err = s.deep(doc, sel.SelectionSet, depth+1, open)
		case *ast.FragmentSpread:
			f := doc.Fragments.ForName(sel.Name)
			if f == nil {
				continue // the validator says so
			}
			if open[sel.Name] {
				return invalid("片段 "+sel.Name+" 引用了自身", "the fragment "+sel.Name+" spreads itself", sel.Position)
			}
			open[sel.Name] = true
			err = s.deep(doc, f.SelectionSet, depth+1, open)
			delete(open, sel.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loosen turns names given as values into strings: use: official is as good as
// use: "official".
func loosen(set ast.SelectionSet) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			for _, a := range sel.Arguments {
				loosenValue(a.Value)
			}
			loosen(sel.SelectionSet)
		case *ast.InlineFragment:
			loosen(sel.SelectionSet)
		}
	}
}

func loosenValue(v *ast.Value) {
	if v.Kind == ast.EnumValue {
		v.Kind = ast.StringValue
	}
	for _, c := range v.Children {
		loosenValue(c.Value)
	}
}

const maxIssues = 20

// refuse turns the findings on a query into a fault with their places.
func refuse(errs gqlerror.List) error {
	issues := make([]fault.Issue, 0, min(len(errs), maxIssues))
	for _, e := range errs[:min(len(errs), maxIssues)] {
		is := fault.Issue{Severity: "error", Code: "invalid", Key: "graphql", Text: "GraphQL 查询有误：" + e.Message, TextEN: e.Message}
		if len(e.Locations) > 0 {
			is.Line, is.Col = e.Locations[0].Line, e.Locations[0].Column
		}
		issues = append(issues, is)
	}
	return fault.New(fault.Invalid, "the GraphQL query is not valid").With(issues...)
}

func invalid(zh, en string, at *ast.Position) error {
	is := fault.Issue{Severity: "error", Code: "invalid", Key: "graphql", Text: zh, TextEN: en}
	if at != nil {
		is.Line, is.Col = at.Line, at.Column
	}
	return fault.New(fault.Invalid, "%s", en).With(is)
}
