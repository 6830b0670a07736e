package ingest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// soap takes one call of any operation. Its message is the one parameter that
// holds a document (RPC), an attachment (MTOM), or the operation's element
// itself (document style).
func (d *Door) soap(c *gin.Context) {
	call := &soap.Call{Operation: "acceptMessage"}
	s, err := d.source(c)
	if err != nil {
		soapFault(c, call, err)
		return
	}
	body, err := read(c, s.Config)
	contentType, set := declared(c)
	raw := s.Intake.Message(source.KindXML, "", contentType, set, body)
	raw.Headers["path"], raw.Headers["remote"] = c.Request.URL.Path, c.ClientIP()
	var m *pipeline.Message
	if err == nil {
		call, m, err = open(c.GetHeader("Content-Type"), set, body, s, raw)
	}
	if err != nil {
		soapFault(c, call, s.Intake.Refuse(c.Request.Context(), raw, err))
		return
	}
	if err := d.accept(c.Request.Context(), s, m); err != nil {
		soapFault(c, call, err)
		return
	}
	c.Data(http.StatusOK, call.Version.ContentType(), call.Reply("Message has been successfully received: "+m.ID))
}

// open finds the call and its message in a request.
func open(contentType, set string, body []byte, s *Source, raw *pipeline.Message) (*soap.Call, *pipeline.Message, error) {
	none := &soap.Call{Operation: "acceptMessage"}
	envelope, attached, err := soap.Package(contentType, body)
	if err != nil {
		return none, nil, err
	}
	text, _, err := charset.Decode(envelope, set)
	if err != nil {
		return none, nil, err
	}
	call, err := soap.Parse(text)
	if err != nil {
		return none, nil, err
	}
	inner, err := payload(call, attached)
	if call.Operation == "" {
		call.Operation = "acceptMessage"
	}
	if err != nil {
		return call, nil, err
	}
	kind, inside := source.KindOf(inner)
	if s.Kind != "" {
		kind = s.Kind
	}
	m := s.Intake.Message(kind, "", inside, "", inner)
	m.Headers = raw.Headers
	m.Headers["operation"] = call.Operation
	if kind == "" {
		return call, nil, fault.New(fault.Unsupported, "不认识的内容").With(fault.Issue{Severity: "error", Code: "not-supported", Key: "media-type",
			Text: "参数里没有 XML、JSON 或 HL7 v2 文档", Expression: "/Envelope/Body/" + call.Operation})
	}
	return call, m, nil
}

// payload is the message in a call.
func payload(call *soap.Call, attached map[string][]byte) ([]byte, error) {
	if parts := soap.Included(call.Body); len(parts) > 0 {
		id := parts[0]
		if b, ok := attached[id]; ok {
			return b, nil
		}
		return nil, fault.New(fault.Invalid, "没有附件 %.80q", id).With(fault.Issue{Severity: "fatal", Code: "structure", Key: "mtom",
			Text: "xop:Include 指向的附件不在请求里", Expression: "/Envelope/Body/" + call.Operation})
	}
	for _, p := range call.Params {
		v := strings.TrimSpace(p.Value)
		if kind, _ := source.KindOf([]byte(v)); kind != "" {
			return []byte(v), nil
		}
		if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), "")); err == nil {
			if kind, _ := source.KindOf(b); kind != "" {
				return b, nil
			}
		}
	}
	if call.Body == nil {
		return nil, fault.New(fault.Invalid, "SOAP Body 是空的")
	}
	return bytes.TrimSpace(call.Body.Outer()), nil
}

// soapFault is this edge's translation of faults for SOAP.
func soapFault(c *gin.Context, call *soap.Call, err error) {
	client := true
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Busy:
		client = false
	}
	c.Data(http.StatusInternalServerError, call.Version.ContentType(), call.Fault(client, fault.Sentence(err), fault.Place(err)))
}

// wsdl describes the door of a source.
func (d *Door) wsdl(c *gin.Context) {
	s, err := d.source(c)
	if err != nil {
		answer(c, err)
		return
	}
	scheme := "http"
	if c.Request.TLS != nil || c.GetHeader("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	doc := soap.Service{Name: s.Intake.Name, Namespace: "https://qihuang.health/soap/" + s.Intake.Name, Operation: "acceptMessage", Param: "in0",
		Address: scheme + "://" + c.Request.Host + c.Request.URL.Path, Doc: "通用消息入口：in0 为 XML、JSON 或 HL7 v2 全文"}
	c.Data(http.StatusOK, "text/xml; charset=utf-8", doc.WSDL())
}
