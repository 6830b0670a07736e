package his

import (
	"context"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/outcome"
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
		warnings, err = d.inspect(c.Request.Context(), body, m.Charset, &m.Key)
	}
	if err != nil {
		answer(c, d.refuse(c, m, err))
		return
	}
	if _, err := d.parts.Inbound.Append(c.Request.Context(), m); err != nil {
		answer(c, err)
		return
	}
	out := append([]byte(`{"id":"`), m.ID...)
	out = append(out, `","status":"accepted"`...)
	if len(warnings) > 0 {
		out = append(append(out, `,"outcome":`...), outcome.Issues(warnings, outcome.Options{})...)
	}
	c.Data(http.StatusAccepted, "application/json; charset=utf-8", append(out, '}'))
}

// inspect decodes a document and adds its patient to the ordering key.
func (d *Door) inspect(ctx context.Context, body []byte, declared string, key *string) ([]fault.Issue, error) {
	text, _, err := charset.Decode(body, declared)
	if err != nil {
		return nil, err
	}
	doc, warnings, err := d.decoder.Decode(ctx, text)
	if err != nil {
		return nil, err
	}
	*key += doc.OrgCode + "|" + doc.Patient.ID
	return warnings, nil
}

func (d *Door) getSchema(c *gin.Context) {
	c.Data(http.StatusOK, "application/schema+json; charset=utf-8", d.schema)
}

// answer writes the OperationOutcome of err: see package outcome for the table.
func answer(c *gin.Context, err error) {
	status := outcome.Status(err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Data(status, "application/fhir+json; charset=utf-8", outcome.Of(err, outcome.Options{}))
}
