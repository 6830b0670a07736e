package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// TerminologyCapabilities names the operation that answers
// GET /metadata?mode=terminology; it has no address of its own.
const TerminologyCapabilities = "terminology-capabilities"

// capabilities answers GET /metadata with the CapabilityStatement, made from the
// table of routes, the definitions and the parts that are there
// (https://hl7.org/fhir/R4/capabilitystatement.html).
func (s *Server) capabilities(ctx context.Context, r *Request) (*Reply, error) {
	switch mode := r.Param("mode"); mode {
	case "", "full", "normative":
	case "terminology":
		if op := s.named[TerminologyCapabilities]; op != nil {
			return op.Run(ctx, s, r)
		}
		return nil, notOffered("mode=terminology")
	default:
		return nil, rest.BadParam("mode", mode)
	}
	b := make([]byte, 0, len(s.rest)+2048)
	b = append(b, `{"resourceType":"CapabilityStatement","id":"qihuang","url":`...)
	b = fhir.AppendString(b, r.Base+"/metadata")
	b = append(b, `,"name":"Qihuang","title":"岐黄中医馆健康信息平台 FHIR 接口","status":"active","date":"`...)
	b = append(b, s.started.Format(time.RFC3339)...)
	b = append(b, `","publisher":"Qihuang","kind":"instance","software":{"name":"Qihuang","version":`...)
	b = fhir.AppendString(b, s.cfg.Version)
	b = append(b, `},"implementation":{"description":"Qihuang FHIR R4 repository","url":`...)
	b = fhir.AppendString(b, r.Base)
	b = append(b, `},"fhirVersion":"4.0.1","format":["application/fhir+json","json"`...)
	if s.parts.XML != nil {
		b = append(b, `,"application/fhir+xml","xml"`...)
	}
	b = append(b, `],"patchFormat":["application/json-patch+json","application/xml-patch+xml","application/fhir+json"`...)
	if s.parts.XML != nil {
		b = append(b, `,"application/fhir+xml"`...)
	}
	b = append(b, `],"rest":[`...)
	added, err := s.added(ctx, r)
	if err != nil {
		return nil, err
	}
	var more []Extension
	if s.parts.Extensions != nil {
		more = s.parts.Extensions(r.Base)
	}
	rest := s.rest
	if len(added)+len(more) > 0 {
		rest = s.restPart(added, more)
	}
	b = append(b, rest...)
	b = append(b, `]}`...)
	body, err := s.view(r, b)
	return &Reply{Body: body, Header: http.Header{"Cache-Control": {"max-age=60"}}}, err
}

// added lists the search parameters added at run time that are complete now.
func (s *Server) added(ctx context.Context, r *Request) ([]*definitions.SearchParameter, error) {
	e, ok := s.parts.Search.(interface {
		Added(ix search.Index) []*definitions.SearchParameter
	})
	if !ok {
		return nil, nil
	}
	snap, err := s.snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	return e.Added(snap.Index()), nil
}

// Extension is one of the CapabilityStatement.
type Extension struct {
	On    string // the resource type of rest.resource, "" = rest itself
	URL   string
	Value string // member name: valueUri, valueCanonical …
	Text  string
}

// extensionPart writes those on one place as the first member of an object.
func extensionPart(b []byte, on string, all []Extension) []byte {
	n := 0
	for _, x := range all {
		if x.On != on {
			continue
		}
		if n++; n == 1 {
			b = append(b, `"extension":[`...)
		} else {
			b = append(b, ',')
		}
		b = fhir.AppendString(append(b, `{"url":`...), x.URL)
		b = fhir.AppendString(append(b, `,"`+x.Value+`":`...), x.Text)
		b = append(b, '}')
	}
	if n > 0 {
		b = append(b, `],`...)
	}
	return b
}

// restPart builds rest[0] of the CapabilityStatement, with search parameters
// beyond those of the definitions and with extensions.
func (s *Server) restPart(added []*definitions.SearchParameter, more []Extension) []byte {
	b := extensionPart([]byte{'{'}, "", more)
	b = append(b, `"mode":"server","documentation":"Chinese by default; Accept-Language: en for English.","security":{"cors":true},"resource":[`...)
	for i, typ := range s.parts.Model.Resources() {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.resourcePart(b, typ, added, more)
	}
	b = append(b, `],"interaction":[`...)
	codes := []string{"transaction", "batch", "history-system"}
	if s.parts.Search != nil {
		codes = append(codes, "search-system")
	}
	b = append(appendCodes(b, codes), ']')
	b = s.operationPart(b, func(o *Operation) bool { return o.System })
	b = append(b, `,"compartment":[`...)
	n := 0
	for _, c := range []string{"Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"} {
		if def := s.parts.Model.Compartment(c); def != nil {
			if n++; n > 1 {
				b = append(b, ',')
			}
			b = fhir.AppendString(b, def.URL)
		}
	}
	return append(b, `]}`...)
}

// resourcePart builds rest.resource of one type.
func (s *Server) resourcePart(b []byte, typ string, added []*definitions.SearchParameter, more []Extension) []byte {
	b = append(extensionPart(append(b, '{'), typ, more), `"type":"`+typ+`","profile":"http://hl7.org/fhir/StructureDefinition/`+typ+`","interaction":[`...)
	b = appendCodes(b, s.typeInteractions())
	b = append(b, `],"versioning":"versioned-update","readHistory":true,"updateCreate":true,"conditionalCreate":true,`...)
	b = append(b, `"conditionalRead":"full-support","conditionalUpdate":true,"conditionalDelete":"`...)
	if s.cfg.DeleteMany {
		b = append(b, `multiple`...)
	} else {
		b = append(b, `single`...)
	}
	b = append(b, `","referencePolicy":["literal","local"]`...)
	if s.parts.Search != nil {
		b = s.searchPart(b, typ, added)
	}
	b = s.operationPart(b, func(o *Operation) bool {
		return slices.Contains(o.Types, typ) || slices.Contains(o.Instances, typ) || slices.Contains(o.Types, "*") || slices.Contains(o.Instances, "*")
	})
	return append(b, '}')
}

// searchPart lists includes and search parameters of a type.
func (s *Server) searchPart(b []byte, typ string, added []*definitions.SearchParameter) []byte {
	params := slices.Clone(s.parts.Model.SearchParameters(typ))
	for _, p := range added {
		if slices.ContainsFunc(p.Base, s.parts.Model.Type(typ).IsA) {
			params = append(params, p)
		}
	}
	b = append(b, `,"searchInclude":["*"`...)
	for _, p := range params {
		if p.Type == "reference" {
			b = fhir.AppendString(append(b, ','), typ+":"+p.Code)
		}
	}
	b = append(b, `],"searchRevInclude":["*"],"searchParam":[`...)
	n := 0
	for _, p := range params {
		if p.Expression == "" && p.Type != "special" {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = fhir.AppendString(append(b, `{"name":`...), p.Code)
		b = fhir.AppendString(append(b, `,"definition":`...), p.URL)
		b = append(fhir.AppendString(append(b, `,"type":`...), p.Type), '}')
	}
	return append(b, ']')
}

// operationPart lists the operations that match.
func (s *Server) operationPart(b []byte, match func(*Operation) bool) []byte {
	n := 0
	for i := range s.parts.Operations {
		o := &s.parts.Operations[i]
		if o.Definition == "" || !match(o) {
			continue
		}
		if n++; n == 1 {
			b = append(b, `,"operation":[`...)
		} else {
			b = append(b, ',')
		}
		b = fhir.AppendString(append(b, `{"name":`...), o.Name)
		b = append(fhir.AppendString(append(b, `,"definition":`...), o.Definition), '}')
	}
	if n > 0 {
		b = append(b, ']')
	}
	return b
}

// typeInteractions are the interaction codes of a type that the routes offer.
func (s *Server) typeInteractions() []string {
	var codes []string
	for _, rt := range routes() {
		switch rt.code {
		case "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type":
		default:
			continue
		}
		if rt.code == "search-type" && s.parts.Search == nil || slices.Contains(codes, rt.code) {
			continue
		}
		codes = append(codes, rt.code)
	}
	return codes
}

func appendCodes(b []byte, codes []string) []byte {
	for i, c := range codes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"code":"`+c+`"}`...)
	}
	return b
}

// root answers GET on the base: with parameters it is a search over all types,
// without it tells where to go on.
func (s *Server) root(ctx context.Context, r *Request) (*Reply, error) {
	if q := strip(r.Query); q != "" {
		r.Shape = rest.SystemSearch
		return s.search(ctx, r)
	}
	o := outcome.Options{English: r.English, RequestID: r.ID}
	return ok(outcome.Issues([]fault.Issue{{Severity: "information", Code: "informational", Key: "welcome",
		Text: "这里是岐黄的 FHIR R4 接口", TextEN: "this is the FHIR R4 base of Qihuang",
		Hint: strings.Join([]string{"GET " + r.Base + "/metadata", "GET " + r.Base + "/Patient?name=…", "POST " + r.Base + " (Bundle: transaction, batch)"}, " · ")}}, o)), nil
}
