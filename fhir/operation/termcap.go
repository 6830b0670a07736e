package operation

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

// termCapabilities answers GET /metadata?mode=terminology
// (https://hl7.org/fhir/R4/terminologycapabilities.html): the code systems at
// hand and the parameters of the operations. It is no operation of its own.
func termCapabilities(t *terminology.Service) server.Operation {
	return server.Operation{Name: server.TerminologyCapabilities,
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			systems, err := t.Systems(ctx)
			if err != nil {
				return nil, err
			}
			b := []byte(`{"resourceType":"TerminologyCapabilities","id":"qihuang","url":`)
			b = fhir.AppendString(b, r.Base+"/metadata?mode=terminology")
			b = append(b, `,"name":"Qihuang","status":"active","date":"`...)
			b = append(b, s.Now().UTC().Format("2006-01-02T15:04:05Z")...)
			b = append(b, `","kind":"instance","software":{"name":"Qihuang"},"implementation":{"description":"Qihuang FHIR R4 terminology","url":`...)
			b = append(fhir.AppendString(b, r.Base), `},"codeSystem":[`...)
			for i, url := range systems {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(fhir.AppendString(append(b, `{"uri":`...), url), '}')
			}
			b = append(b, `],"expansion":{"hierarchical":true,"paging":true,"incomplete":false,"parameter":[`...)
			for i, name := range []string{"activeOnly", "count", "date", "designation", "displayLanguage", "excludeNested", "filter", "includeDesignations", "offset", "url", "valueSet"} {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(b, `{"name":"`+name+`"}`...)
			}
			b = append(b, `]},"codeSearch":"all","validateCode":{"translations":false},"translation":{"needsMap":true},"closure":{"translation":false}}`...)
			return reply(b, nil)
		}}
}
