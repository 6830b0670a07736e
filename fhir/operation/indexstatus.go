package operation

import (
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/offer"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// indexStatus is GET SearchParameter/$index-status and SearchParameter/[id]/$index-status,
// ours: where the stored search parameters stand, as Parameters with one
// "parameter" each, parts id, url, code, base, status (offered, building, refused,
// standard, inactive), reason, done, total, job.
func indexStatus(list func() []offer.Parameter) server.Operation {
	return server.Operation{Name: "index-status", Definition: "https://qihuang.health/fhir/OperationDefinition/index-status",
		Types: []string{"SearchParameter"}, Instances: []string{"SearchParameter"},
		Run: func(_ context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
			b := []byte(`{"resourceType":"Parameters"`)
			n := 0
			for _, p := range list() {
				if r.Target.ID != "" && r.Target.ID != p.ID {
					continue
				}
				if n++; n == 1 {
					b = append(b, `,"parameter":[`...)
				} else {
					b = append(b, ',')
				}
				b = appendStatus(b, &p)
			}
			if n > 0 {
				b = append(b, ']')
			} else if r.Target.ID != "" {
				return nil, fault.New(fault.NotFound, "no such search parameter")
			}
			return reply(append(b, '}'), nil)
		}}
}

func appendStatus(b []byte, p *offer.Parameter) []byte {
	b = append(b, `{"name":"parameter","part":[{"name":"id","valueId":`...)
	b = append(fhir.AppendString(b, p.ID), '}')
	text := func(name, kind, v string) {
		if v != "" {
			b = append(b, `,{"name":"`+name+`","value`+kind+`":`...)
			b = append(fhir.AppendString(b, v), '}')
		}
	}
	text("url", "Uri", p.URL)
	text("code", "Code", p.Code)
	for _, t := range p.Base {
		text("base", "Code", t)
	}
	text("status", "Code", string(p.Status))
	text("reason", "String", p.Reason)
	if p.Status == offer.Building {
		b = append(b, `,{"name":"done","valueInteger":`+strconv.FormatInt(p.Done, 10)+`},{"name":"total","valueInteger":`+strconv.FormatInt(p.Total, 10)+`}`...)
		text("job", "String", p.Job)
	}
	return append(b, `]}`...)
}
