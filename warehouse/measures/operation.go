package measures

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Operation is Measure/$evaluate-measure
// (https://hl7.org/fhir/R4/measure-operation-evaluate-measure.html) on the
// indicators: periodStart, periodEnd (inclusive days of Asia/Shanghai), subject
// (an Organization with everything below it; absent = all halls), measure (name
// or canonical, on the type level), reportType summary or population.
func (c *Catalogue) Operation(q Querier, now func() time.Time) server.Operation {
	return server.Operation{Name: "evaluate-measure", Definition: "http://hl7.org/fhir/OperationDefinition/Measure-evaluate-measure",
		Types: []string{"Measure"}, Instances: []string{"Measure"},
		Run: func(ctx context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
			p, err := parameters(r)
			if err != nil {
				return nil, err
			}
			name := r.Target.ID
			if name == "" {
				name = p["measure"]
			}
			m, err := c.Get(name)
			if err != nil {
				return nil, err
			}
			scope, err := p.scope(ctx, q)
			if err != nil {
				return nil, err
			}
			body, err := c.Report(ctx, q, m, scope, p["subject"], now())
			return &server.Reply{Body: body}, err
		}}
}

// arguments are the parameters of the operation as text.
type arguments map[string]string

func parameters(r *server.Request) (arguments, error) {
	p := arguments{}
	for name, values := range r.Params() {
		p[name] = values[0]
	}
	if len(r.Body) == 0 {
		return p, nil
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return nil, err
	}
	for part := range tree.Root().Get("parameter").Children() {
		for v := range part.Children() {
			if strings.HasPrefix(v.Key(), "value") {
				p[part.Get("name").Str()] = v.Str()
			}
		}
	}
	return p, nil
}

func (p arguments) scope(ctx context.Context, q Querier) (s Scope, err error) {
	if t := p["reportType"]; t != "" && t != "summary" && t != "population" {
		return s, fault.New(fault.Unsupported, "reportType 只支持 summary 与 population").With(fault.Issue{Severity: "error", Code: "not-supported", Key: "report-type",
			Text: "指标按机构汇总，reportType 只支持 summary 与 population", TextEN: "only summary and population reports"})
	}
	for _, name := range []string{"periodStart", "periodEnd"} {
		if p[name] == "" {
			return s, fault.New(fault.Invalid, "缺少 %s", name).With(fault.Issue{Severity: "error", Code: "required", Key: "parameter-missing",
				Text: "缺少参数 " + name, TextEN: "parameter " + name + " is missing", Hint: name + "=2026-11-01"})
		}
	}
	if s.From, _, err = Day(p["periodStart"]); err != nil {
		return s, err
	}
	if _, s.To, err = Day(p["periodEnd"]); err != nil {
		return s, err
	}
	if !s.From.Before(s.To) {
		return s, fault.New(fault.Invalid, "periodEnd 早于 periodStart")
	}
	if subject := p["subject"]; subject != "" {
		s.Orgs, err = Halls(ctx, q, subject)
	}
	return s, err
}

// maxLevels bounds the tree province → city → county → hall, with room to spare.
const maxLevels = 8

// Halls returns the organisation codes of a subject ("Organization/id", an id,
// or an organisation code) and of everything below it; fault.NotFound.
func Halls(ctx context.Context, q Querier, subject string) ([]string, error) {
	id := strings.TrimPrefix(subject, "Organization/")
	if i := strings.LastIndex(id, "Organization/"); i >= 0 { // absolute reference
		id = id[i+len("Organization/"):]
	}
	const find = `SELECT id, ifNull(code, '') FROM qihuang.hall FINAL WHERE `
	level, codes, err := halls(ctx, q, find+`id = {key:String} OR code = {key:String}`, map[string]string{"key": id})
	if err != nil {
		return nil, err
	}
	if len(level) == 0 {
		return nil, fault.New(fault.NotFound, "没有机构 %s", id)
	}
	for range maxLevels {
		below, more, err := halls(ctx, q, find+`parent_id IN {keys:Array(String)}`, map[string]string{"keys": list(level)})
		if err != nil {
			return nil, err
		}
		if len(below) == 0 {
			break
		}
		level, codes = below, append(codes, more...)
	}
	slices.Sort(codes)
	return slices.Compact(codes), nil
}

func halls(ctx context.Context, q Querier, sql string, params map[string]string) (ids, codes []string, err error) {
	err = q.Query(ctx, sql, params, func(scan func(...any) error) error {
		var id, code string
		if err := scan(&id, &code); err != nil {
			return err
		}
		ids = append(ids, id)
		if code == "" {
			code = "\x00" + id // no code: matches no visit, but keeps the scope from being empty
		}
		codes = append(codes, code)
		return nil
	})
	return ids, codes, err
}
