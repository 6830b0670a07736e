// Package rest offers national shared documents on the FHIR interface:
// $to-cda, $from-cda, and $document with _format=cda.
package rest

import (
	"context"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// WarningsHeader counts the findings of a conversion whose answer is XML and has
// no room for them.
const WarningsHeader = "X-Qihuang-Warnings"

// media are the types of shared documents, and what clients send them as.
var media = []string{"cda", "application/hl7-cda+xml", "application/cda+xml", "application/xml", "text/xml", "text/plain", "application/octet-stream",
	"application/fhir+xml"}

// Operations are the operations of shared documents.
func Operations(m *bundle.Mapper) []server.Operation {
	def := tcm.Base + "/OperationDefinition/"
	return []server.Operation{
		{Name: "to-cda", Definition: def + "to-cda", System: true, Types: []string{"Bundle"}, Media: []string{"cda", "application/hl7-cda+xml"},
			Run: func(_ context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
				return toCDA(m, r)
			}},
		{Name: "from-cda", Definition: def + "from-cda", System: true, Types: []string{"Bundle"}, Media: media,
			Run: func(_ context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
				return fromCDA(m, s, r)
			}},
	}
}

// WithDocument lets $document answer as a shared document for _format=cda.
func WithDocument(m *bundle.Mapper, ops []server.Operation) []server.Operation {
	for i := range ops {
		if ops[i].Name != "document" {
			continue
		}
		run := ops[i].Run
		ops[i].Media = append(ops[i].Media, "cda", "application/hl7-cda+xml")
		ops[i].Run = func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			rep, err := run(ctx, s, r)
			if err != nil || !wantsCDA(r) || rep.Body == nil {
				return rep, err
			}
			tree, err := fhir.Parse(rep.Body)
			if err != nil {
				return nil, err
			}
			return document(m, tree.Root(), options(r.Params()))
		}
	}
	return ops
}

// wantsCDA reports whether _format or Accept names the form of shared documents.
func wantsCDA(r *server.Request) bool {
	return strings.EqualFold(r.Param("_format"), "cda") || strings.Contains(r.Param("_format"), "cda+xml") || strings.Contains(r.Header.Get("Accept"), "cda+xml")
}

func options(params url.Values) bundle.Options {
	return bundle.Options{Template: params.Get("template"), Prescription: params.Get("prescription")}
}

// toCDA answers with the document; a client that asks for FHIR gets Parameters
// with it and the findings.
func toCDA(m *bundle.Mapper, r *server.Request) (*server.Reply, error) {
	if r.Method != http.MethodPost || len(r.Body) == 0 {
		return nil, wrong("to-cda-body", "请用 POST 提交 Bundle", "POST a Bundle")
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return nil, err
	}
	root, opt := tree.Root(), options(r.Params())
	if root.ResourceType() == "Parameters" {
		root = unpack(root, &opt)
	}
	rep, err := document(m, root, opt)
	if err != nil || !strings.Contains(r.Header.Get("Accept")+r.Param("_format"), "fhir") && r.Param("_format") != "json" {
		return rep, err
	}
	doc, issues, err := m.ToCDA(root, opt)
	if err != nil {
		return nil, err
	}
	b := append([]byte(nil), `{"resourceType":"Parameters","parameter":[{"name":"document","resource":{"resourceType":"Binary","contentType":"application/hl7-cda+xml","data":"`...)
	b = base64.StdEncoding.AppendEncode(b, doc)
	b = append(b, `"}},{"name":"outcome","resource":`...)
	b = append(b, outcome.Issues(issues, outcome.Options{English: r.English})...)
	return &server.Reply{Body: append(b, `}]}`...)}, nil
}

// unpack reads the Bundle and the options from Parameters.
func unpack(params fhir.Node, opt *bundle.Options) (root fhir.Node) {
	for p := range params.Get("parameter").Each() {
		if res := p.Get("resource"); res.Exists() {
			root = res
		}
		value := p.Get("valueCode").Str() + p.Get("valueString").Str()
		switch p.Get("name").Str() {
		case "template":
			opt.Template = value
		case "prescription":
			opt.Prescription = value
		}
	}
	return root
}

func document(m *bundle.Mapper, root fhir.Node, opt bundle.Options) (*server.Reply, error) {
	doc, issues, err := m.ToCDA(root, opt)
	if err != nil {
		return nil, err
	}
	return &server.Reply{Native: doc, ContentType: "application/xml; charset=utf-8", Header: warnings(issues)}, nil
}

func warnings(issues []fault.Issue) http.Header {
	return http.Header{WarningsHeader: {strconv.Itoa(len(issues))}}
}

// fromCDA answers with a document Bundle; findings stand in its OperationOutcome.
func fromCDA(m *bundle.Mapper, s *server.Server, r *server.Request) (*server.Reply, error) {
	if r.Method != http.MethodPost || len(r.Body) == 0 {
		return nil, wrong("from-cda-body", "请用 POST 提交共享文档（XML）", "POST a shared document (XML)")
	}
	body, charset, err := payload(r)
	if err != nil {
		return nil, err
	}
	res, err := m.FromCDA(body, charset)
	if err != nil {
		return nil, err
	}
	b, err := m.Document(res, r.Base, s.Now())
	if err != nil {
		return nil, err
	}
	return &server.Reply{Body: b, Header: warnings(res.Issues)}, nil
}

// payload is the document: the body itself, or the data of a Binary.
func payload(r *server.Request) (body []byte, charset string, err error) {
	if _, params, perr := mime.ParseMediaType(r.Header.Get("Content-Type")); perr == nil {
		charset = params["charset"]
	}
	if first := strings.TrimLeft(string(r.Body[:min(64, len(r.Body))]), "\ufeff \t\r\n"); !strings.HasPrefix(first, "{") {
		return r.Body, charset, nil
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return nil, "", err
	}
	root := tree.Root()
	if root.ResourceType() == "Parameters" {
		root = unpack(root, &bundle.Options{})
	}
	if root.ResourceType() != "Binary" {
		return nil, "", wrong("from-cda-body", "需要 XML 文档，或装着它的 Binary", "an XML document or a Binary of one is needed")
	}
	body, err = base64.StdEncoding.DecodeString(root.Get("data").Str())
	if err != nil {
		return nil, "", wrong("from-cda-body", "Binary.data 不是 base64", "Binary.data is no base64")
	}
	return body, "", nil
}

func wrong(key, zh, en string) error {
	return fault.New(fault.Invalid, "%s", en).With(fault.Issue{Severity: "error", Code: "invalid", Key: key, Text: zh, TextEN: en})
}
