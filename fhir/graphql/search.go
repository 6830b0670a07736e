package graphql

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// search answers XList and XConnection, from the system or from a resource that
// the matches refer to ("Type/id").
func (x *execution) search(g *group, from string) (any, error) {
	f := g.fields[0]
	typ, connection := strings.CutSuffix(f.Name, connSuffix)
	typ = strings.TrimSuffix(typ, listSuffix)
	query, cursor, err := x.query(f, typ, from)
	if err != nil {
		return nil, err
	}
	page, err := x.src.Search(x.ctx, typ, query, cursor)
	if err != nil {
		return nil, locate(err, f.Position)
	}
	if connection {
		return x.connection(g, typ, page)
	}
	out := make([]any, 0, len(page.Matches))
	for _, m := range page.Matches {
		v, err := x.found(g.sets(), m)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if f.Directives.ForName("first") != nil {
		out = out[:min(1, len(out))]
	}
	return out, nil
}

// found selects from a match; it is there, for the page shows one state.
func (x *execution) found(sets []ast.SelectionSet, m Match) (any, error) {
	return x.read(sets, m.Type, m.ID, false)
}

// query makes the search query of a field's arguments. Several values of one
// must all match; alternatives are written with commas, as in a URL.
func (x *execution) query(f *ast.Field, typ, from string) (query, cursor string, err error) {
	q := url.Values{}
	for _, a := range f.Arguments {
		v, err := x.value(a.Value)
		if err != nil {
			return "", "", err
		}
		switch list := values(v); {
		case a.Name == "_cursor":
			cursor, _ = v.(string)
		case a.Name == reverseArg:
			code, ok := x.schema.params[typ][strings.ReplaceAll(strings.Join(list, ""), "-", "_")]
			if !ok {
				return "", "", invalid(typ+" 没有检索参数 "+strings.Join(list, ""), typ+" has no search parameter "+strings.Join(list, ""), a.Position)
			}
			q.Add(code, from)
		case len(list) > 0:
			q[x.schema.params[typ][a.Name]] = list
		}
	}
	return q.Encode(), cursor, nil
}

// values returns an argument as texts: one, or each of a list.
func values(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var out []string
		for _, item := range v {
			out = append(out, values(item)...)
		}
		return out
	case string:
		return []string{v}
	case bool:
		return []string{strconv.FormatBool(v)}
	case int64:
		return []string{strconv.FormatInt(v, 10)}
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	case json.Number:
		return []string{v.String()}
	}
	return nil
}

// locate adds the place in the query to a search's refusal.
func locate(err error, at *ast.Position) error {
	issues := fault.IssuesOf(err)
	if len(issues) == 0 || at == nil {
		return err
	}
	placed := make([]fault.Issue, len(issues))
	for i, is := range issues {
		is.Line, is.Col = at.Line, at.Column
		placed[i] = is
	}
	out := fault.New(fault.KindOf(err), "search in a GraphQL query").With(placed...)
	out.Cause = err
	return out
}

// connection answers a page with its cursors (graphql.html#searching).
func (x *execution) connection(g *group, typ string, page *Page) (any, error) {
	groups, err := x.collect(g.sets(), typ+connSuffix)
	if err != nil {
		return nil, err
	}
	out := object{}
	for i := range groups {
		c := &groups[i]
		var v any
		switch c.fields[0].Name {
		case "__typename":
			v = text(typ + connSuffix)
		case "count":
			if page.Total != nil {
				v = number(*page.Total)
			}
		case "pagesize":
			v = number(page.Count)
		case "first":
			v = text("")
		case "previous":
			v = cursorOf(page.Prev)
		case "next":
			v = cursorOf(page.Next)
		case "edges":
			if v, err = x.edges(c, typ, page); err != nil {
				return nil, err
			}
		}
		out.set(c.key, v)
	}
	return out, nil
}

func cursorOf(c string) any {
	if c == "" {
		return nil
	}
	return text(c)
}

func (x *execution) edges(g *group, typ string, page *Page) (any, error) {
	groups, err := x.collect(g.sets(), typ+edgeSuffix)
	if err != nil {
		return nil, err
	}
	out := make([]any, 0, len(page.Matches))
	for _, m := range page.Matches {
		edge := object{}
		for i := range groups {
			e := &groups[i]
			var v any
			switch e.fields[0].Name {
			case "__typename":
				v = text(typ + edgeSuffix)
			case "mode":
				v = text(m.Mode)
			case "score":
				if m.Score > 0 {
					v = json.RawMessage(strconv.AppendFloat(nil, m.Score, 'g', 4, 64))
				}
			case "resource":
				if v, err = x.found(e.sets(), m); err != nil {
					return nil, err
				}
			}
			edge.set(e.key, v)
		}
		out = append(out, edge)
	}
	return out, nil
}
