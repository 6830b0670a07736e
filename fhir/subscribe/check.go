package subscribe

import (
	"context"
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Checker judges resources; validate.Policy is one.
type Checker interface {
	Check(ctx context.Context, res fhir.Node) []fault.Issue
}

// checker adds to another what a Subscription must be to work.
type checker struct {
	s    *Service
	next Checker
}

// Checker returns next, which may be nil, with the subscriptions' own judgement:
// a Subscription that could not work is refused when it is written, with the
// place and what to do.
func (s *Service) Checker(next Checker) Checker { return &checker{s, next} }

// Check implements Checker.
func (c *checker) Check(ctx context.Context, res fhir.Node) (out []fault.Issue) {
	if c.next != nil {
		out = c.next.Check(ctx, res)
	}
	status := Status(res.Get("status").Str())
	if res.ResourceType() != "Subscription" || status != Requested && status != Active {
		return out
	}
	if err := c.s.judge(ctx, res); err != nil {
		out = append(out, issues(err)...)
	}
	return out
}

func issues(err error) []fault.Issue {
	if list := fault.IssuesOf(err); len(list) > 0 {
		return slices.Clone(list)
	}
	return []fault.Issue{{Severity: "error", Code: "value", Key: "subscription", Expression: "Subscription", Text: reason(err), TextEN: err.Error()}}
}

// judge tries what a subscription would do.
func (s *Service) judge(ctx context.Context, res fhir.Node) error {
	d, err := ParseDefinition(res)
	if err != nil {
		return err
	}
	if d.Channel != webSocket {
		if err := s.parts.Outbound.Check(d.Endpoint); err != nil {
			return bad("Subscription.channel.endpoint", reason(err), "the hub may not call this endpoint: add its host to outbound.allow")
		}
	}
	if d.classic() {
		return s.tryQuery(ctx, d.Type, d.Query, "Subscription.criteria")
	}
	s.mu.Lock()
	t := s.topics[fhir.ParseCanonical(d.Topic).URL]
	s.mu.Unlock()
	if t == nil {
		return bad("Subscription.criteria", "没有主题 "+d.Topic+"：可用的主题见 GET /fhir/Basic?code=SubscriptionTopic", "there is no topic "+d.Topic+": see GET /fhir/Basic?code=SubscriptionTopic")
	}
	for _, f := range d.Filters {
		if err := s.judgeFilter(ctx, t, f); err != nil {
			return err
		}
	}
	return nil
}

// judgeFilter tries a filter on every type it may narrow.
func (s *Service) judgeFilter(ctx context.Context, t *Topic, f string) error {
	typ, q := splitFilter(f)
	list, err := query.Parse(q)
	if err != nil || len(list) == 0 {
		return bad("Subscription.criteria.extension", "过滤条件应为“类型?参数=值”", "a filter must be Type?parameter=value")
	}
	for _, tr := range t.Triggers {
		if typ != "" && typ != tr.Type {
			continue
		}
		for _, p := range list {
			name, err := query.ParseName(p.Key)
			if err != nil {
				return err
			}
			if !t.allows(tr.Type, name.Code) {
				return bad("Subscription.criteria.extension", "主题不允许按 "+name.Code+" 过滤", "the topic does not filter by "+name.Code)
			}
		}
		if err := s.tryQuery(ctx, tr.Type, q, "Subscription.criteria.extension"); err != nil {
			return err
		}
	}
	return nil
}

// tryQuery runs a search on nothing, so that what is wrong in it shows.
func (s *Service) tryQuery(ctx context.Context, typ, q, place string) error {
	_, err := s.parts.Search.Search(ctx, memindex.New(), search.Request{Type: typ, Query: q, Count: 1})
	if err == nil {
		return nil
	}
	if fault.Is(err, fault.NotFound) {
		return bad(place, "没有资源类型 "+typ, "there is no resource type "+typ)
	}
	list := issues(err)
	for i := range list {
		list[i].Expression = place
		if list[i].Severity == "" {
			list[i].Severity = "error"
		}
	}
	return fault.New(fault.Invalid, "criteria cannot be searched").With(list...)
}
