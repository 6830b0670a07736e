package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// maxBody is the largest request taken, keptBody what is kept of a larger one.
const (
	maxBody  = 50 << 20
	keptBody = 1 << 20
)

// DoorParts is what a door needs of the hub.
type DoorParts struct {
	Ledger  *Ledger
	Inbound pipeline.Inbound
	Letters pipeline.DeadLetters
	IDs     *pipeline.IDs
	Clock   clock.Clock
	Log     *slog.Logger
}

// Door serves the billing push and the reconciliation of one source.
type Door struct {
	source string
	parts  DoorParts
}

// NewDoor returns a door.
func NewDoor(source string, parts DoorParts) *Door { return &Door{source, parts} }

// Mount adds the door's routes.
func (d *Door) Mount(r gin.IRouter) {
	r.POST("/ingest/"+d.source, d.push)
	r.POST("/api/sources/"+d.source+"/reconcile", d.reconcile)
}

// push takes rows, a message or a file; its answer comes when the log holds it.
func (d *Door) push(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	m := d.message(c, body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		m.Body = body[:min(len(body), keptBody)]
		err = fault.New(fault.TooCostly, "消息超过 50 MB").With(fault.Issue{Severity: "fatal", Code: "too-long", Key: outcome.KeyTooLarge, Text: "消息超过 50 MB", Hint: "请分批发送"})
	case err != nil:
		err = fault.New(fault.Invalid, "请求中断：%w", err)
	}
	rows := 0
	if err == nil {
		rows, err = d.parts.Ledger.Check(m)
	}
	if err != nil {
		answer(c, d.refuse(c, m, err))
		return
	}
	d.parts.Ledger.pending.begin(m.ID)
	if _, err := d.parts.Inbound.Append(c.Request.Context(), m); err != nil {
		d.parts.Ledger.pending.end(m.ID)
		answer(c, err)
		return
	}
	c.JSON(http.StatusAccepted, gin.H{"id": m.ID, "status": "accepted", "rows": rows})
}

// message makes the inbound message of a request. What is not JSON is a file, by
// the name the sender gives in ?file= or Content-Disposition.
func (d *Door) message(c *gin.Context, body []byte) *pipeline.Message {
	sum := sha256.Sum256(body)
	kind, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	m := &pipeline.Message{ID: d.parts.IDs.Next(), Source: d.source, Kind: Kind, Key: d.source + "|", DedupKey: hex.EncodeToString(sum[:]),
		ContentType: c.GetHeader("Content-Type"), Received: d.parts.Clock.Now(), Headers: map[string]string{"path": c.FullPath(), "remote": c.ClientIP()}, Body: body}
	if err == nil {
		m.Charset = params["charset"]
	}
	name := c.Query(HeaderFile)
	if _, p, err := mime.ParseMediaType(c.GetHeader("Content-Disposition")); name == "" && err == nil {
		name = p["filename"]
	}
	if name == "" && !looksJSON(kind, body) {
		name = "push" + extension(kind)
	}
	if name != "" {
		m.Headers[HeaderFile] = path.Base(strings.ReplaceAll(name, `\`, "/"))
	}
	return m
}

func looksJSON(kind string, body []byte) bool {
	head := strings.TrimLeft(string(body[:min(len(body), 64)]), "\ufeff \t\r\n")
	return strings.HasSuffix(kind, "json") || strings.HasPrefix(head, "{") || head == ""
}

func extension(kind string) string {
	switch kind {
	case "text/csv", "text/plain":
		return ".csv"
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		return ".xlsx"
	}
	return ".dbf"
}

// refuse keeps what could not be accepted among the dead letters and returns the
// fault to answer with.
func (d *Door) refuse(c *gin.Context, m *pipeline.Message, cause error) error {
	letter := &pipeline.DeadLetter{ID: m.ID, Message: m, Time: m.Received, Reason: fault.Sentence(cause), Attempts: 1}
	if is := fault.IssuesOf(cause); len(is) > 0 {
		letter.Location = is[0].Expression
		if letter.Location == "" && is[0].Line > 0 {
			letter.Location = strconv.Itoa(is[0].Line) + ":" + strconv.Itoa(is[0].Col)
		}
	}
	if err := d.parts.Letters.Put(context.WithoutCancel(c.Request.Context()), letter); err != nil {
		d.parts.Log.ErrorContext(c, "dead letter not kept", "message", m.ID, "kind", m.Kind, "error", err)
		return fault.New(fault.Unavailable, "消息有误，且暂时无法留存，请稍后重发")
	}
	d.parts.Log.WarnContext(c, "message refused", "message", m.ID, "kind", m.Kind, "fault", fault.KindOf(cause).String())
	return cause
}

// reconcile compares the days of one hall.
func (d *Door) reconcile(c *gin.Context) {
	var in struct {
		From      string `json:"from"`
		To        string `json:"to"`
		Hospital  string `json:"hospital"`
		Inpatient bool   `json:"inpatient"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, 64<<10))
	if err == nil {
		err = ncms.DecodeJSON(body, &in)
	}
	if err != nil {
		answer(c, fault.New(fault.Invalid, "请求体应为 {from, to, hospital}：%w", err))
		return
	}
	if in.To == "" {
		in.To = in.From
	}
	d.parts.Ledger.pending.wait(c.Request.Context()) // rows pushed a moment ago count
	r, err := d.parts.Ledger.Reconcile(c.Request.Context(), ncms.Days{Caller: ncms.Caller{Hospital: in.Hospital, Operator: "all"}, From: in.From, To: in.To, Inpatient: in.Inpatient})
	if err != nil {
		answer(c, err)
		return
	}
	out, err := d.parts.Ledger.encoder.Marshal(r.Resources()[0].Model)
	if err != nil {
		answer(c, err)
		return
	}
	c.Data(http.StatusOK, "application/fhir+json; charset=utf-8", out)
}

// answer writes the OperationOutcome of err: see package outcome for the table.
func answer(c *gin.Context, err error) {
	status := outcome.Status(err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Data(status, "application/fhir+json; charset=utf-8", outcome.Of(err, outcome.Options{}))
}
