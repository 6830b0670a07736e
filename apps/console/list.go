package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// row is one match of a search.
type row struct {
	Type, ID, Head string
	Version        int64
	Updated        time.Time
	Included       bool
}

// condition is one parameter of the query, with the link to the query without it.
type condition struct{ Name, Value, Without string }

// The page's own parameters beside those of FHIR: the place in a result.
const (
	ownAt     = "console-at"
	ownCursor = "console-cursor"
)

// listPage shows the search builder and the matches of the query in the URL,
// which is a FHIR query.
func (c *Console) listPage(g *gin.Context) {
	typ := g.Param("type")
	if !c.Repository.Model.IsResource(typ) {
		c.refuse(g, fault.New(fault.NotFound, "没有资源类型 %s，请从资源列表中选择", typ))
		return
	}
	q, at, cursor := splitQuery(g.Request.URL.RawQuery)
	view := struct {
		web.Page
		Type, Name, Query, URL, Explain string
		Conditions                      []condition
		Params                          []*definitions.SearchParameter
		Rows                            []row
		Total                           int64
		Known                           bool
		Next, Prev                      string
		Took                            string
		Error, Hint                     string
		Input                           input
	}{Page: c.page(typ, resources), Type: typ, Name: typeNames[typ], Query: q, URL: "/fhir/" + typ, Params: c.Repository.params(typ), Input: c.Repository.input(typ, c.Repository.params(typ)[0].Code)}
	view.Explain = "/fhir/$explain?" + typ + "?" + q
	if q != "" {
		view.URL += "?" + q
	}
	view.Conditions = conditions(q)
	begin := time.Now()
	page, rows, offset, err := c.find(g, typ, q, at, cursor)
	view.Took = time.Since(begin).Round(100 * time.Microsecond).String()
	if err != nil {
		if kind := fault.KindOf(err); kind == fault.Internal || kind == fault.Unavailable {
			c.refuse(g, err)
			return
		}
		view.Error, view.Hint = sentence(err)
		g.Status(statuses[fault.KindOf(err)])
		c.render(g, "list", view)
		return
	}
	view.Rows = rows
	if page.Total != nil {
		view.Total, view.Known = int64(*page.Total), true
	}
	link := func(cursor string) string {
		if cursor == "" {
			return ""
		}
		return "?" + strings.TrimPrefix(q+"&", "&") + ownAt + "=" + strconv.FormatInt(offset, 10) + "&" + ownCursor + "=" + url.QueryEscape(cursor)
	}
	view.Next, view.Prev = link(page.Next), link(page.Prev)
	c.render(g, "list", view)
}

// pageRows is how many matches a page shows without _count.
const pageRows = 20

// find runs the query on the state the page belongs to.
func (c *Console) find(g *gin.Context, typ, q string, at int64, cursor string) (*search.Page, []row, int64, error) {
	ctx := g.Request.Context()
	snap, err := c.Repository.state(ctx, at, cursor != "")
	if err != nil {
		return nil, nil, 0, err
	}
	defer snap.Close()
	if p, ok := snap.(store.Pinner); ok {
		p.Pin()
	}
	if !strings.Contains(q, "_total=") {
		q = strings.TrimPrefix(q+"&_total=accurate", "&")
	}
	page, err := c.Repository.Search.Search(ctx, snap.Index(), search.Request{Type: typ, Query: q, Count: pageRows, Cursor: cursor, Now: time.Now()})
	if err != nil {
		return nil, nil, 0, err
	}
	rows := make([]row, 0, len(page.Matches))
	var parser fhir.Parser
	for _, m := range page.Matches {
		v, err := snap.Read(m.Type, m.ID)
		if err != nil {
			continue
		}
		tree, err := parser.Parse(v.Resource)
		if err != nil {
			return nil, nil, 0, err
		}
		rows = append(rows, row{m.Type, m.ID, strings.Clone(headline(tree.Root())), v.Version, v.LastUpdated, m.Mode == search.ModeInclude})
	}
	return page, rows, snap.Offset(), nil
}

// state pins the newest state, or for a further page the one of the first.
func (r *Repository) state(ctx context.Context, at int64, further bool) (store.Snapshot, error) {
	snap, err := r.Store.Snapshot(ctx, 0)
	if err != nil || !further || at == snap.Offset() {
		return snap, err
	}
	now := snap.Offset()
	if err := snap.Close(); err != nil {
		return nil, err
	}
	if at < now {
		if snap, err = r.Store.SnapshotAt(ctx, at); !fault.Is(err, fault.Gone) {
			return snap, err
		}
	}
	return nil, fault.New(fault.Gone, "这一页已过期，请重新检索")
}

// splitQuery takes the page's own parameters out of a query.
func splitQuery(raw string) (q string, at int64, cursor string) {
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case pair == "":
		case name == ownAt:
			at, _ = strconv.ParseInt(value, 10, 64)
		case name == ownCursor:
			cursor, _ = url.QueryUnescape(value)
		default:
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&"), at, cursor
}

func conditions(q string) (out []condition) {
	pairs := strings.Split(q, "&")
	for i, pair := range pairs {
		list, err := query.Parse(pair)
		if err != nil || len(list) == 0 {
			continue
		}
		rest := slices.Delete(slices.Clone(pairs), i, i+1)
		out = append(out, condition{list[0].Key, list[0].Value, "?" + strings.Join(rest, "&")})
	}
	return out
}

// sentence is what is wrong with a query, and the mend.
func sentence(err error) (msg, hint string) {
	if list := fault.IssuesOf(err); len(list) > 0 && list[0].Text != "" {
		return list[0].Text, list[0].Hint
	}
	if strings.HasPrefix(err.Error(), "query: ") {
		return "查询条件写法有误：" + strings.TrimPrefix(err.Error(), "query: "), ""
	}
	return err.Error(), ""
}

// params are the search parameters of a type, its own before the common ones.
func (r *Repository) params(typ string) []*definitions.SearchParameter {
	list := slices.Clone(r.Model.SearchParameters(typ))
	slices.SortStableFunc(list, func(a, b *definitions.SearchParameter) int {
		ka, kb := strings.HasPrefix(a.Code, "_"), strings.HasPrefix(b.Code, "_")
		switch {
		case ka == kb:
			return strings.Compare(a.Code, b.Code)
		case ka:
			return 1
		}
		return -1
	})
	return list
}

// input is how a value of a parameter is entered.
type input struct {
	Code, Kind, Hint, Description string
	Modifiers                     []choice
	Prefixes                      []choice
	Targets                       []string
	Date                          bool
}

type choice struct{ Code, Name string }

// input describes the entry of a parameter; an unknown one is plain text.
func (r *Repository) input(typ, code string) input {
	in := input{Code: code, Kind: "string"}
	for _, p := range r.Model.SearchParameters(typ) {
		if p.Code == code {
			in.Kind, in.Description, in.Targets = p.Type, p.Description, p.Target
		}
	}
	names := map[string]string{"": "等于", "exact": "完全相同", "contains": "包含", "missing": "缺失（true/false）", "not": "不是", "text": "文字含有", "in": "在值集中", "not-in": "不在值集中",
		"above": "本级与上级", "below": "本级与下级", "of-type": "标识类型", "identifier": "按标识"}
	mods := map[string][]string{"string": {"", "exact", "contains", "missing"}, "token": {"", "not", "text", "in", "not-in", "above", "below", "of-type", "missing"},
		"reference": {"", "identifier", "missing"}, "uri": {"", "above", "below", "missing"}}[in.Kind]
	if in.Kind == "string" {
		names[""] = "开头是"
	}
	for _, m := range mods {
		in.Modifiers = append(in.Modifiers, choice{m, names[m]})
	}
	switch in.Kind {
	case "date", "number", "quantity":
		in.Modifiers = []choice{{"", "按下面比较"}, {"missing", names["missing"]}}
		in.Prefixes = []choice{{"eq", "等于 ="}, {"ge", "不早于/不小于 ≥"}, {"le", "不晚于/不大于 ≤"}, {"gt", "晚于/大于 >"}, {"lt", "早于/小于 <"}, {"ne", "不等于 ≠"}}
	}
	in.Date = in.Kind == "date"
	in.Hint = map[string]string{"string": "姓名可用拼音或首字母，例如 zhangsan", "token": "代码，或 系统|代码", "reference": "类型/id，例如 Patient/1", "date": "2026-11-25 或 2026-11",
		"number": "数字", "quantity": "数值|系统|单位，例如 5.4||mg", "uri": "完整的 URL", "composite": "用 $ 连接各部分", "special": "见规范"}[in.Kind]
	return in
}

// conditionInput is the part of the builder for one parameter.
func (c *Console) conditionInput(g *gin.Context) {
	typ := g.Param("type")
	if !c.Repository.Model.IsResource(typ) {
		c.refuse(g, fault.New(fault.NotFound, "没有资源类型 %s", typ))
		return
	}
	c.render(g, "input", c.Repository.input(typ, g.Query("p")))
}

// addCondition puts one more condition to the query and shows the result.
func (c *Console) addCondition(g *gin.Context) {
	typ := g.Param("type")
	if !c.Repository.Model.IsResource(typ) {
		c.refuse(g, fault.New(fault.NotFound, "没有资源类型 %s", typ))
		return
	}
	q, p, v := g.Query("q"), g.Query("p"), strings.TrimSpace(g.Query("v"))
	if p != "" && v != "" {
		name, value := p, v
		if m := g.Query("m"); m != "" {
			name += ":" + m
		} else if op := g.Query("op"); op != "" && op != "eq" {
			value = op + value
		}
		q = strings.TrimPrefix(q+"&"+url.QueryEscape(name)+"="+url.QueryEscape(value), "&")
		q = strings.NewReplacer("%3A", ":", "%7C", "|", "%2F", "/", "%2C", ",").Replace(q)
	}
	to := resources + "/" + typ
	if q != "" {
		to += "?" + q
	}
	g.Redirect(http.StatusSeeOther, to)
}
