package his

import (
	"mime"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// declared is the character set the request claims for its body.
func declared(c *gin.Context) string {
	_, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil {
		return ""
	}
	return params["charset"]
}

// postDocument takes one visit document. What is wrong with the document itself
// is answered at once (and kept); what only the repository can refuse is found
// later, by the sink.
func (d *Door) postDocument(c *gin.Context) {
	body, err := d.body(c)
	m := d.message(c, KindVisit, "", body)
	var warnings []fault.Issue
	if err == nil {
		warnings, err = d.inspect(body, m.Charset, &m.Key)
	}
	if err != nil {
		outcome(c, d.refuse(c, m, err))
		return
	}
	if _, err := d.parts.Inbound.Append(c.Request.Context(), m); err != nil {
		outcome(c, err)
		return
	}
	out := append([]byte(`{"id":"`), m.ID...)
	out = append(out, `","status":"accepted"`...)
	if len(warnings) > 0 {
		out = append(append(out, `,"warnings":`...), issues(warnings)...)
	}
	c.Data(http.StatusAccepted, "application/json; charset=utf-8", append(out, '}'))
}

// inspect decodes a document and adds its patient to the ordering key.
func (d *Door) inspect(body []byte, declared string, key *string) ([]fault.Issue, error) {
	text, _, err := charset.Decode(body, declared)
	if err != nil {
		return nil, err
	}
	doc, warnings, err := d.decoder.Decode(text)
	if err != nil {
		return nil, err
	}
	*key += doc.OrgCode + "|" + doc.Patient.ID
	return warnings, nil
}

func (d *Door) getSchema(c *gin.Context) {
	c.Data(http.StatusOK, "application/schema+json; charset=utf-8", d.schema)
}

// statuses is how this edge answers each kind of fault.
var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusUnprocessableEntity, fault.Unsupported: http.StatusUnsupportedMediaType,
	fault.TooCostly: http.StatusRequestEntityTooLarge, fault.Busy: http.StatusServiceUnavailable,
	fault.Unavailable: http.StatusServiceUnavailable, fault.Unauthorized: http.StatusUnauthorized, fault.Forbidden: http.StatusForbidden,
}

// outcome answers with an OperationOutcome: 400 for what cannot be read at all,
// 422 for a document that breaks the schema.
func outcome(c *gin.Context, err error) {
	status, ok := statuses[fault.KindOf(err)]
	if !ok {
		status = http.StatusInternalServerError
	}
	list := fault.IssuesOf(err)
	if len(list) == 0 {
		list = []fault.Issue{{Severity: "error", Code: "processing", Text: reason(err)}}
	}
	if status == http.StatusUnprocessableEntity && list[0].Severity == "fatal" {
		status = http.StatusBadRequest
	}
	if status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	body := append([]byte(`{"resourceType":"OperationOutcome","issue":`), issues(list)...)
	c.Data(status, "application/fhir+json; charset=utf-8", append(body, '}'))
}

// issues writes OperationOutcome.issue.
func issues(list []fault.Issue) []byte {
	out := []byte{'['}
	for i, is := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, `{"severity":"`...), is.Severity...)
		out = append(append(out, `","code":"`...), is.Code...)
		out = append(out, `","details":{"text":`...)
		out = model.AppendString(out, is.Text)
		diagnostics := ""
		if is.Line > 0 {
			diagnostics = "第 " + strconv.Itoa(is.Line) + " 行第 " + strconv.Itoa(is.Col) + " 列"
		}
		if is.Hint != "" {
			if diagnostics != "" {
				diagnostics += "；"
			}
			diagnostics += is.Hint
		}
		out = append(out, '}')
		if diagnostics != "" {
			out = model.AppendString(append(out, `,"diagnostics":`...), diagnostics)
		}
		if is.Expression != "" {
			out = append(model.AppendString(append(out, `,"expression":[`...), is.Expression), ']')
		}
		out = append(out, '}')
	}
	return append(out, ']')
}
