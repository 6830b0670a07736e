package operation

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
)

// explain is GET $explain?Type?query, ours: how a search was run and what it
// cost, as Parameters with a "step" for each condition.
func explain() server.Operation {
	return server.Operation{Name: "explain", Definition: "https://qihuang.health/fhir/OperationDefinition/explain", System: true,
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			target := r.Query
			if v := r.Params().Get("query"); v != "" {
				target = v
			} else if t, err := url.PathUnescape(target); err == nil && !strings.Contains(target, "?") {
				target = t
			}
			typ, query, _ := strings.Cut(target, "?")
			if !s.Model().IsResource(typ) {
				return nil, invalid("explain", "用法：$explain?Patient?name=li", "usage: $explain?Patient?name=li")
			}
			snap, err := s.Snapshot(ctx, r)
			if err != nil {
				return nil, err
			}
			defer snap.Close()
			begin := s.Now()
			page, err := s.Find(ctx, snap, search.Request{Type: typ, Query: query, Explain: true, Lenient: r.Prefer.Lenient})
			if err != nil {
				return nil, err
			}
			return reply(planParameters(page, s.Now().Sub(begin).Microseconds()), nil)
		}}
}

func planParameters(page *search.Page, micros int64) []byte {
	b := []byte(`{"resourceType":"Parameters","parameter":[{"name":"microseconds","valueInteger":` + strconv.FormatInt(micros, 10) + `}`)
	b = append(b, `,{"name":"onPage","valueInteger":`+strconv.Itoa(len(page.Matches))+`}`...)
	if page.Total != nil {
		b = append(b, `,{"name":"total","valueInteger":`+strconv.Itoa(*page.Total)+`}`...)
	}
	if page.Plan != nil {
		b = append(b, `,{"name":"cost","valueInteger":`+strconv.Itoa(page.Plan.Cost)+`}`...)
		for _, st := range page.Plan.Steps {
			b = append(b, `,{"name":"step","part":[{"name":"depth","valueInteger":`+strconv.Itoa(st.Depth)+`}`...)
			for _, kv := range [][2]string{{"type", st.Type}, {"condition", st.Label}, {"how", st.How}} {
				if kv[1] != "" {
					b = append(b, `,{"name":"`+kv[0]+`","valueString":`...)
					b = append(fhir.AppendString(b, kv[1]), '}')
				}
			}
			b = append(b, `,{"name":"estimate","valueInteger":`+strconv.Itoa(st.Estimate)+`}]}`...)
		}
	}
	return append(b, "]}"...)
}
