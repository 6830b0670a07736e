package his

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Searcher finds resources by a FHIR search query; *search.Engine is one.
type Searcher interface {
	IDs(ctx context.Context, ix search.Index, typ, query string, limit int) ([]string, error)
}

// Parts is what the door needs of the hub.
type Parts struct {
	Inbound pipeline.Inbound
	Letters pipeline.DeadLetters
	Store   store.Reader
	Search  Searcher
	IDs     *pipeline.IDs
	Clock   clock.Clock
	Log     *slog.Logger
}

// Door serves the HTTP and SOAP interfaces of township HIS systems.
type Door struct {
	cfg     Config
	parts   Parts
	decoder *Decoder
	schema  []byte
}

// New returns a door. cfg must be valid.
func New(cfg Config, parts Parts) *Door {
	return &Door{cfg: cfg, parts: parts, decoder: NewDecoder(cfg.Zone, cfg.UnknownCodes, cfg.Codes), schema: Schema()}
}

// Mount adds the door's routes.
func (d *Door) Mount(r gin.IRouter) {
	r.POST("/ingest/his", d.postDocument)
	r.GET("/ingest/his/schema", d.getSchema)
	for n := range services {
		r.POST("/services/"+n, d.postService(n))
		r.GET("/services/"+n, d.getService(n))
	}
}

// body reads a request whole. A larger one than allowed is fault.TooCostly and
// comes with its beginning, to be kept for repair.
func (d *Door) body(c *gin.Context) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, d.cfg.MaxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		limit := strconv.FormatInt(d.cfg.MaxBody>>20, 10) + " MB"
		return b[:min(int64(len(b)), d.cfg.KeptBody)], fault.New(fault.TooCostly, "消息超过 %s", limit).With(fault.Issue{
			Severity: "fatal", Code: "too-long", Key: outcome.KeyTooLarge, Text: "消息超过 " + limit, Hint: "请按次就诊分开发送"})
	}
	if err != nil {
		return b, fault.New(fault.Invalid, "请求中断：%w", err)
	}
	return b, nil
}

// message makes the inbound message of a request.
func (d *Door) message(c *gin.Context, kind, key string, body []byte) *pipeline.Message {
	sum := sha256.Sum256(body)
	return &pipeline.Message{ID: d.parts.IDs.Next(), Source: d.cfg.Source, Kind: kind, Key: d.cfg.Source + "|" + key,
		DedupKey: hex.EncodeToString(sum[:]), ContentType: c.GetHeader("Content-Type"), Charset: declared(c),
		Received: d.parts.Clock.Now(), Headers: map[string]string{"path": c.FullPath(), "remote": c.ClientIP()}, Body: body}
}

// refuse keeps what could not be accepted among the dead letters and returns
// the fault to answer with.
func (d *Door) refuse(c *gin.Context, m *pipeline.Message, err error) error {
	letter := &pipeline.DeadLetter{ID: m.ID, Message: m, Time: m.Received, Reason: fault.Sentence(err), Location: fault.Place(err), Attempts: 1}
	if perr := d.parts.Letters.Put(context.WithoutCancel(c.Request.Context()), letter); perr != nil {
		d.parts.Log.Error("dead letter not kept", "message", m.ID, "kind", m.Kind, "err", perr)
		return fault.New(fault.Unavailable, "消息有误，且暂时无法留存，请稍后重发")
	}
	if list := Unmapped(err); list != nil && d.cfg.Unmapped != nil {
		d.cfg.Unmapped(m, list)
	}
	d.parts.Log.Warn("message refused", "message", m.ID, "kind", m.Kind, "fault", fault.KindOf(err).String())
	return err
}
