package his

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// received is what the client searches in the reply to a push.
const received = "Message has been successfully received"

// service is one TCM_HIS_NN.
type service struct {
	namespace, doc string
	kind           string // pushes: kind of message
	check          func(m *tcmMessage) (key string, err error)
	pull           func(d *Door, ctx context.Context, org, visitNo string) (string, error)
}

const (
	pushNamespace = "http://DefaultNamespace"
	pullNamespace = "http://proxy.sun.com"
)

// services by path element. 03–06 have no known meaning (tcm_platform_interface).
var services = map[string]service{
	"TCM_HIS_01": {pushNamespace, "HIS 推送患者与就诊", Kind01, check01, nil},
	"TCM_HIS_02": {pushNamespace, "HIS 推送中药字典", Kind02, check02, nil},
	"TCM_HIS_03": {namespace: pushNamespace, doc: "未定义"},
	"TCM_HIS_04": {namespace: pushNamespace, doc: "未定义"},
	"TCM_HIS_05": {namespace: pushNamespace, doc: "未定义"},
	"TCM_HIS_06": {namespace: pushNamespace, doc: "未定义"},
	"TCM_HIS_07": {pullNamespace, "HIS 获取中医电子病历", "", nil, (*Door).pull07},
	"TCM_HIS_08": {pullNamespace, "HIS 获取中药处方", "", nil, (*Door).pull08},
	"TCM_HIS_09": {pullNamespace, "HIS 获取诊断", "", nil, (*Door).pull09},
}

func check01(m *tcmMessage) (string, error) {
	p, err := read01(m)
	if err != nil {
		return "", err
	}
	return p.org + "|" + p.patient.No, nil
}

func check02(m *tcmMessage) (string, error) {
	d, err := read02(m)
	if err != nil {
		return "", err
	}
	return d.OrgCode + "|" + d.Code, nil
}

func (d *Door) postService(name string) gin.HandlerFunc {
	s := services[name]
	return func(c *gin.Context) {
		body, err := d.body(c)
		if err != nil {
			d.answerFault(c, &soap.Call{}, d.refuse(c, d.message(c, s.kindOf(name), "", body), err))
			return
		}
		call, m, err := inner(body, declared(c), d.cfg.Zone)
		if call.Operation == "" {
			call.Operation = "acceptMessage"
		}
		if call.Namespace == "" {
			call.Namespace = s.namespace
		}
		var result string
		if err == nil {
			result, err = d.serve(c, name, s, m, body)
		} else {
			err = d.refuse(c, d.message(c, s.kindOf(name), "", body), err)
		}
		if err != nil {
			d.answerFault(c, call, err)
			return
		}
		c.Data(http.StatusOK, call.Version.ContentType(), call.Reply(result))
	}
}

// kindOf is the kind under which a refused message of the service is kept.
func (s service) kindOf(name string) string {
	if s.kind != "" {
		return s.kind
	}
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

// serve answers a well-formed message.
func (d *Door) serve(c *gin.Context, name string, s service, m *tcmMessage, body []byte) (string, error) {
	switch {
	case s.pull != nil:
		return d.pull(c, name, s, m)
	case s.kind == "":
		err := fault.New(fault.Unsupported, "本平台没有定义 %s", name)
		return "", d.refuse(c, d.message(c, s.kindOf(name), "", body), err)
	}
	key, err := s.check(m)
	msg := d.message(c, s.kind, key, body)
	if err != nil {
		return "", d.refuse(c, msg, err)
	}
	return received, d.append(c.Request.Context(), msg)
}

func (d *Door) append(ctx context.Context, m *pipeline.Message) error {
	_, err := d.parts.Inbound.Append(ctx, m)
	return err
}

// answerFault is this edge's one translation of faults: whose mistake it is, the
// sentence, and the place with a hint.
func (d *Door) answerFault(c *gin.Context, call *soap.Call, err error) {
	client := false
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Gone, fault.Conflict, fault.Precondition, fault.Unsupported, fault.TooCostly,
		fault.Forbidden, fault.Unauthorized:
		client = true
	}
	detail := fault.Place(err)
	if is := fault.IssuesOf(err); len(is) > 0 && is[0].Hint != "" {
		if detail != "" {
			detail += "；"
		}
		detail += is[0].Hint
	}
	c.Data(http.StatusInternalServerError, call.Version.ContentType(), call.Fault(client, fault.Sentence(err), detail))
}

// getService answers ?wsdl, and a sentence for people otherwise.
func (d *Door) getService(name string) gin.HandlerFunc {
	s := services[name]
	return func(c *gin.Context) {
		if _, wsdl := c.Request.URL.Query()["wsdl"]; !wsdl {
			if _, wsdl = c.Request.URL.Query()["WSDL"]; !wsdl {
				c.String(http.StatusOK, "%s：%s（SOAP 1.1，操作 acceptMessage；接口描述见 ?wsdl）\n", name, s.doc)
				return
			}
		}
		scheme := "http"
		if c.Request.TLS != nil || c.GetHeader("X-Forwarded-Proto") == "https" {
			scheme = "https"
		}
		doc := soap.Service{Name: name, Namespace: s.namespace, Operation: "acceptMessage", Param: "in0",
			Address: scheme + "://" + c.Request.Host + c.Request.URL.Path, Doc: s.doc}
		c.Data(http.StatusOK, "text/xml; charset=utf-8", doc.WSDL())
	}
}
