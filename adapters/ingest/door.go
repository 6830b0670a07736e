package ingest

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/keys"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// Source is one configured sender.
type Source struct {
	Config
	Kind   string // of messages; "" = told by their content
	Intake *source.Intake
}

// Parts is what the door needs of the hub.
type Parts struct {
	// Check tries a message without effect; its error is what the sink would say.
	Check func(ctx context.Context, m *pipeline.Message) error
	// Unknown makes a source for a name that is not configured; nil = refuse.
	Unknown func(name string) *Source
}

// Door serves every source that pushes over HTTP. Safe for concurrent use.
type Door struct {
	parts   Parts
	mu      sync.RWMutex
	sources map[string]*Source
}

// New returns a door; Add names its sources.
func New(parts Parts) *Door { return &Door{parts: parts, sources: map[string]*Source{}} }

// Add lets a source in, under its name.
func (d *Door) Add(s *Source) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sources[s.Intake.Name] = s
}

// Mount adds the door's routes. Routes of particular sources (/ingest/his …)
// stand beside them.
func (d *Door) Mount(r gin.IRouter) {
	r.POST("/ingest/:source", d.post)
	r.POST("/soap/:source", d.soap)
	r.GET("/soap/:source", d.wsdl)
}

// source finds the sender by the path, and checks its token.
func (d *Door) source(c *gin.Context) (*Source, error) {
	name := c.Param("source")
	d.mu.RLock()
	s := d.sources[name]
	d.mu.RUnlock()
	if s == nil && d.parts.Unknown != nil && validName(name) {
		s = d.parts.Unknown(name)
	}
	if s == nil {
		return nil, fault.New(fault.NotFound, "没有名为 %.60q 的来源", name).With(fault.Issue{Severity: "error", Code: "not-found", Key: "unknown-source",
			Text: "没有这个来源", TextEN: "no such source", Hint: "请在配置 sources 里登记，或用 qihuang source new"})
	}
	if s.Token == "" {
		return s, nil
	}
	given, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(given), []byte(s.Token)) != 1 {
		return nil, fault.New(fault.Unauthorized, "来源口令不对").With(fault.Issue{Severity: "error", Code: "login", Key: "source-token",
			Text: "来源口令不对", TextEN: "wrong source token", Hint: "请在 Authorization: Bearer 里带上配置的 token"})
	}
	return s, nil
}

// validName are the names that may become a source without configuration.
func validName(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return name != "" && len(name) <= 40
}

// post takes one message.
func (d *Door) post(c *gin.Context) {
	s, err := d.source(c)
	if err != nil {
		answer(c, err)
		return
	}
	m, err := d.message(c, s)
	if err == nil {
		err = d.accept(c.Request.Context(), s, m)
	}
	if err != nil {
		answer(c, err)
		return
	}
	c.JSON(http.StatusAccepted, gin.H{"id": m.ID, "status": "accepted", "kind": m.Kind})
}

// message reads a request. What cannot be read is kept, and an error.
func (d *Door) message(c *gin.Context, s *Source) (*pipeline.Message, error) {
	body, err := read(c, s.Config)
	contentType, set := declared(c)
	m := s.Intake.Message("", "", contentType, set, body)
	m.Headers["path"], m.Headers["remote"] = c.Request.URL.Path, c.ClientIP()
	if key := c.GetHeader("Idempotency-Key"); key != "" && len(key) <= 200 {
		m.DedupKey = "key:" + key
	}
	text := body
	if decoded, _, derr := charset.Decode(body, set); derr == nil {
		text = decoded // GBK hides quotes and backslashes in its characters
	}
	if m.Kind, _ = source.KindOf(text); m.Kind == "" || s.Kind != "" {
		m.Kind = s.Kind
	}
	if err == nil && m.Kind == "" {
		err = fault.New(fault.Unsupported, "不认识的内容").With(fault.Issue{Severity: "error", Code: "not-supported", Key: "media-type",
			Text: "不认识的内容：应为 JSON、XML、FHIR 或 HL7 v2", TextEN: "neither JSON, XML, FHIR nor HL7 v2"})
	}
	if err != nil {
		return nil, s.Intake.Refuse(c.Request.Context(), m, err)
	}
	return m, nil
}

// accept checks a message and appends it; what is refused is kept.
func (d *Door) accept(ctx context.Context, s *Source, m *pipeline.Message) error {
	err := wellFormed(m)
	if err == nil {
		if order := keys.Order(keys.Of(m)); order != "" {
			m.Key = s.Intake.Name + "|" + order
		}
		if s.Check && d.parts.Check != nil {
			err = d.parts.Check(ctx, m)
		}
	}
	if err != nil && refused(err) {
		return s.Intake.Refuse(ctx, m, err)
	}
	return s.Intake.Append(ctx, m) // what failed for our reasons is found again by the sink
}

// refused reports that a check's error is about the message, not about us.
func refused(err error) bool {
	var later *pipeline.Later
	if errors.As(err, &later) {
		return false
	}
	for _, is := range fault.IssuesOf(err) {
		if is.Key == "unknown-kind" { // a map can be added, and the message replayed
			return false
		}
	}
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Busy:
		return false
	}
	return true
}

// wellFormed reads JSON or XML through: an error has line and column.
func wellFormed(m *pipeline.Message) error {
	first := strings.TrimLeft(string(m.Body[:min(len(m.Body), 64)]), "\ufeff \t\r\n")
	switch {
	case strings.HasPrefix(first, "<"):
		_, err := xmlread.Parse(m.Body, xmlread.Default())
		return err
	case strings.HasPrefix(first, "{"), strings.HasPrefix(first, "["):
		text, _, err := charset.Decode(m.Body, m.Charset)
		if err == nil {
			_, err = fhir.Parse(text)
		}
		return err
	}
	return nil
}

// patient reads a body from a sender that must not fall silent for long.
type patient struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
}

// Read implements io.Reader.
func (p patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(p.stall)) // servers of tests may not know deadlines
	return p.ReadCloser.Read(b)
}

// read reads a body of at most the configured size; of a larger one the
// beginning, with fault.TooCostly.
func read(c *gin.Context, cfg Config) ([]byte, error) {
	limit, control := cfg.MaxBody<<20, http.NewResponseController(c.Writer)
	b, err := io.ReadAll(http.MaxBytesReader(c.Writer, patient{c.Request.Body, control, cfg.Stall}, limit))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{})
	} else {
		c.Header("Connection", "close") // the rest of the body is not waited for
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		words := "消息超过 " + strconv.FormatInt(limit>>20, 10) + " MB"
		return b[:min(len(b), keptBytes)], fault.New(fault.TooCostly, "%s", words).With(fault.Issue{
			Severity: "fatal", Code: "too-long", Key: outcome.KeyTooLarge, Text: words, Hint: "请拆分后发送"})
	}
	if err != nil {
		return b, fault.New(fault.Invalid, "请求中断：%w", err).With(fault.Issue{Severity: "fatal", Code: "incomplete", Key: "cut-off",
			Text: "请求没有发完", TextEN: "the request was cut off"})
	}
	if len(b) == 0 {
		return b, fault.New(fault.Invalid, "消息是空的").With(fault.Issue{Severity: "fatal", Code: "required", Key: "empty", Text: "消息是空的", TextEN: "the message is empty"})
	}
	return b, nil
}

// declared is the media type and the character set of a request.
func declared(c *gin.Context) (mediaType, set string) {
	mediaType, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil {
		return c.GetHeader("Content-Type"), ""
	}
	return mediaType, params["charset"]
}

// answer writes the OperationOutcome of err: see package outcome for the table.
func answer(c *gin.Context, err error) {
	status := outcome.Status(err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		c.Header("Retry-After", "5")
	}
	c.Data(status, "application/fhir+json; charset=utf-8", outcome.Of(err, outcome.Options{}))
}
