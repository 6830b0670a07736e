package console

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/journal"
	"github.com/qihuang-health/qihuang/pipeline/replay"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// Desk knows the sources: a source.Desk.
type Desk interface {
	List() []source.Status
	Get(name string) (source.Status, error)
	Pause(name string) error
	Resume(name string) error
	Alerts() []source.Alert
	Acknowledge(id string) bool
}

// Journal knows the messages: a journal.Journal.
type Journal interface {
	Search(ctx context.Context, q journal.Query) (*journal.Page, error)
	Get(id string) (*journal.Entry, error)
	Copies(id string) ([]string, error)
	Message(ctx context.Context, id string) (*pipeline.Message, error)
}

// Replayer replays messages: a replay.Replayer.
type Replayer interface {
	Run(ctx context.Context, r replay.Request) (*replay.Report, error)
	Mend(ctx context.Context, id string, body []byte) (string, error)
}

// Flow are the parts behind the pages of sources and messages.
type Flow struct {
	Desk    Desk
	Journal Journal
	Replay  Replayer
	// Try gives a message to its map without effect: what it would write.
	Try func(ctx context.Context, m *pipeline.Message) ([]store.Op, error)
	// Steps explains which expression of the map made which value; nil = not known.
	Steps func(ctx context.Context, m *pipeline.Message) ([]Step, error)
	// AcceptColumns forgets the columns of a source's tables, after they were
	// changed on purpose.
	AcceptColumns func(source string) error
	// Sample makes a message of a source, as its door would; table names the
	// table of rows.
	Sample func(source, table string, body []byte) (*pipeline.Message, error)
}

// Step is one value of a message's resources and what made it.
type Step struct {
	Resource string   `json:"resource"` // Type/id
	Path     string   `json:"path"`
	Value    string   `json:"value"`
	From     []string `json:"from"` // places in the message
	Map      string   `json:"map"`  // expression
	Line     int      `json:"line"` // in the map
}

// mountFlow adds the pages of sources and messages.
func (c *Console) mountFlow(r gin.IRouter) {
	if c.Flow == nil {
		return
	}
	r.GET("/console/sources", c.sourcesPage)
	r.GET("/console/sources/table", c.sourcesTable)
	r.POST("/console/sources/:name/:act", c.sourceForm)
	r.GET("/console/messages", c.messagesPage)
	r.GET("/console/messages/:id", c.messagePage)
	r.GET("/console/dead-letters/:id/edit", c.editPage)
	r.POST("/console/dead-letters/:id/edit", c.editForm)
	r.GET("/console/alerts", c.alertsPage)
	r.POST("/console/alerts/:id/acknowledge", c.alertForm)
	r.GET("/onboarding/:source", c.onboardingPage)
	r.POST("/onboarding/:source", c.onboardingForm)
	r.GET("/api/sources", func(g *gin.Context) { g.JSON(http.StatusOK, gin.H{"items": c.Flow.Desk.List()}) })
	r.GET("/api/sources/:name", c.sourceAPI)
	r.POST("/api/sources/:name/pause", c.sourceAct((Desk).Pause))
	r.POST("/api/sources/:name/resume", c.sourceAct((Desk).Resume))
	r.POST("/api/sources/:name/accept-columns", c.acceptColumns)
	r.GET("/api/messages", c.messagesAPI)
	r.GET("/api/messages/:id", c.messageAPI)
	r.GET("/api/messages/:id/raw", c.messageRaw)
	r.GET("/api/messages/:id/trace", c.traceAPI)
	r.POST("/api/dead-letters/:id/edit", c.editAPI)
	r.POST("/api/replay", c.replayAPI)
	r.GET("/api/alerts", func(g *gin.Context) { g.JSON(http.StatusOK, gin.H{"items": c.Flow.Desk.Alerts()}) })
	r.POST("/api/alerts/:id/acknowledge", c.alertAPI)
	r.POST("/api/onboarding/:source", c.onboardingAPI)
}

const maxEdited = 50 << 20

// body reads a request of at most 50 MB.
func body(g *gin.Context) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(g.Writer, g.Request.Body, maxEdited))
	if err != nil {
		return nil, fault.New(fault.TooCostly, "内容超过 50 MB 或没有发完")
	}
	return b, nil
}

// selection reads the conditions of the message browser from the URL.
func selection(g *gin.Context, zone *time.Location) (q journal.Query, err error) {
	q = journal.Query{Key: g.Query("q"), Source: g.Query("source"), Kind: g.Query("kind"), Before: g.Query("before"), Limit: 50}
	q.State = stateNamed(g.Query("state"))
	if s := g.Query("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 1 || q.Limit > 500 {
			return q, fault.New(fault.Invalid, "limit 应为 1 到 500 的整数")
		}
	}
	for _, f := range []struct {
		name string
		to   *time.Time
		end  bool
	}{{"since", &q.Since, false}, {"until", &q.Until, true}} {
		if *f.to, err = moment(g.Query(f.name), zone, f.end); err != nil {
			return q, err
		}
	}
	return q, nil
}

// moment reads a time or a day; a day as an end means its end.
func moment(s string, zone *time.Location, end bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation("2006-01-02", s, zone); err == nil {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	return time.Time{}, fault.New(fault.Invalid, "时间应写成 2026-11-25 或 2026-11-25T08:00:00+08:00")
}
