package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Parts is what the door needs of the hub.
type Parts struct {
	Mapper  *bundle.Mapper
	Inbound pipeline.Inbound
	Letters pipeline.DeadLetters
	IDs     *pipeline.IDs
	Clock   clock.Clock
	Log     *slog.Logger
}

// Door serves POST /ingest/cda.
type Door struct {
	cfg   Config
	parts Parts
}

// New returns a door. cfg must be valid.
func New(cfg Config, parts Parts) *Door { return &Door{cfg: cfg, parts: parts} }

// Mount adds the door's route.
func (d *Door) Mount(r gin.IRouter) { r.POST("/ingest/cda", d.post) }

// post takes one document. What its rules find that is not fatal comes with the
// answer; the document is kept as it came either way.
func (d *Door) post(c *gin.Context) {
	body, err := d.body(c)
	m := d.message(c, body)
	var res *bundle.Result
	if err == nil {
		res, err = d.parts.Mapper.Read(body, m.Charset)
	}
	if err != nil {
		answer(c, d.refuse(c, m, err))
		return
	}
	m.Key += res.Facts.Organization.Code + "|" + res.Facts.Encounter.PatientID
	if _, err := d.parts.Inbound.Append(c.Request.Context(), m); err != nil {
		answer(c, err)
		return
	}
	out := append([]byte(`{"id":"`), m.ID...)
	out = append(out, `","status":"accepted"`...)
	if len(res.Issues) > 0 {
		out = append(append(out, `,"outcome":`...), outcome.Issues(res.Issues, outcome.Options{})...)
	}
	c.Data(http.StatusAccepted, "application/json; charset=utf-8", append(out, '}'))
}

// body reads a request whole. A larger one than allowed is fault.TooCostly and
// comes with its beginning, to be kept for repair.
func (d *Door) body(c *gin.Context) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, d.cfg.MaxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		limit := strconv.FormatInt(d.cfg.MaxBody>>20, 10) + " MB"
		return b[:min(int64(len(b)), d.cfg.KeptBody)], fault.New(fault.TooCostly, "document over %s", limit).With(fault.Issue{
			Severity: "fatal", Code: "too-long", Key: outcome.KeyTooLarge, Text: "文档超过 " + limit, TextEN: "the document is over " + limit})
	}
	if err != nil {
		return b, fault.New(fault.Invalid, "请求中断：%w", err)
	}
	return b, nil
}

func (d *Door) message(c *gin.Context, body []byte) *pipeline.Message {
	sum := sha256.Sum256(body)
	charset := ""
	if _, params, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err == nil {
		charset = params["charset"]
	}
	return &pipeline.Message{ID: d.parts.IDs.Next(), Source: d.cfg.Source, Kind: Kind, Key: d.cfg.Source + "|", DedupKey: hex.EncodeToString(sum[:]),
		ContentType: c.GetHeader("Content-Type"), Charset: charset, Received: d.parts.Clock.Now(),
		Headers: map[string]string{"path": c.FullPath(), "remote": c.ClientIP()}, Body: body}
}

// refuse keeps what could not be accepted among the dead letters and returns the
// fault to answer with.
func (d *Door) refuse(c *gin.Context, m *pipeline.Message, err error) error {
	letter := &pipeline.DeadLetter{ID: m.ID, Message: m, Time: m.Received, Reason: "共享文档不能接收", Map: "cda", Attempts: 1}
	for _, is := range fault.IssuesOf(err)[:min(1, len(fault.IssuesOf(err)))] {
		letter.Reason, letter.Location = is.Text, is.Expression
		if is.Line > 0 {
			letter.Location += " @" + strconv.Itoa(is.Line) + ":" + strconv.Itoa(is.Col)
		}
	}
	if perr := d.parts.Letters.Put(context.WithoutCancel(c.Request.Context()), letter); perr != nil {
		d.parts.Log.Error("dead letter not kept", "message", m.ID, "kind", m.Kind, "err", perr)
		return fault.New(fault.Unavailable, "文档有误，且暂时无法留存，请稍后重发")
	}
	d.parts.Log.Warn("message refused", "message", m.ID, "kind", m.Kind, "fault", fault.KindOf(err).String())
	return err
}

// answer writes the OperationOutcome of err: see package outcome for the table.
func answer(c *gin.Context, err error) {
	status := outcome.Status(err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Data(status, "application/fhir+json; charset=utf-8", outcome.Of(err, outcome.Options{}))
}

// OpenAPI returns the OpenAPI 3.1 path item of the door.
func OpenAPI() map[string]any {
	finding := func(text string) map[string]any {
		return map[string]any{"description": text, "content": map[string]any{"application/fhir+json": map[string]any{"schema": map[string]any{"type": "object",
			"description": "OperationOutcome：规则号、XPath 位置与依据"}}}}
	}
	return map[string]any{"/ingest/cda": map[string]any{"post": map[string]any{
		"summary":     "接收一份国家电子病历共享文档（WS/T 500，CDA R2）",
		"description": "原文落盘（fsync）后才确认；UTF-8、GBK、GB18030 均可。不致命的校验问题随应答返回。",
		"requestBody": map[string]any{"required": true, "content": map[string]any{"application/xml": map[string]any{"schema": map[string]any{"type": "string"}}}},
		"responses": map[string]any{"202": map[string]any{"description": "已落盘：{id, status, outcome?}"},
			"400": finding("不是 XML，或含 DTD；原文进入死信"), "422": finding("模板不认识、缺少机构或就诊标识；原文进入死信"),
			"413": finding("超过大小上限"), "429": finding("队列已满，请稍后重发"), "503": finding("暂时无法落盘，请稍后重发")}}}}
}
