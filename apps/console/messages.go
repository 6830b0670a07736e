package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/journal"
	"github.com/qihuang-health/qihuang/pipeline/replay"
	"github.com/qihuang-health/qihuang/pipeline/source"
	"github.com/qihuang-health/qihuang/web"
)

// message is a message in the browser and its API.
type message struct {
	*journal.Entry
	Fate  journal.Fate `json:"fate"`
	Words State        `json:"-"`
}

// stateWords translates the states for people.
var stateWords = map[inbound.State]State{inbound.Waiting: Waiting, inbound.Done: Done, inbound.Repeat: Repeat, inbound.Dead: Dead, inbound.Parked: "等待来源恢复"}

func stateNamed(s string) inbound.State {
	if _, ok := stateWords[inbound.State(s)]; ok {
		return inbound.State(s)
	}
	return ""
}

func shown(list []*journal.Entry) []message {
	out := make([]message, len(list))
	for i, e := range list {
		out[i] = message{e, e.Fate, stateWords[e.State]}
	}
	return out
}

// Class returns the style of the state's label, with a leading space, or "".
func (m message) Class() string { return Fate{State: m.Words}.Class() }

// Bytes is the size of the original.
func (m message) Bytes() int64 { return int64(m.Size) }

// keyNames are the words for business keys.
var keyNames = map[journal.KeyType]string{'p': "患者号", 'n': "姓名", 'i': "证件或卡号", 'v': "就诊号", 'r': "处方号", 'b': "发票或结算号", 'o': "机构"}

// KeyName is the word for a key's type.
func (m message) KeyName(t journal.KeyType) string { return keyNames[t] }

// messagesPage finds messages by business key, source, state and time.
func (c *Console) messagesPage(g *gin.Context) {
	q, err := selection(g, c.cfg.Zone)
	if err != nil {
		c.fail(g, err)
		return
	}
	begin := time.Now()
	p, err := c.Flow.Journal.Search(g.Request.Context(), q)
	if err != nil {
		c.fail(g, err)
		return
	}
	next := ""
	if p.Next != "" {
		v := g.Request.URL.Query()
		v.Set("before", p.Next)
		next = "/console/messages?" + v.Encode()
	}
	c.render(g, "messages", struct {
		web.Page
		Query   journal.Query
		Form    url.Values
		Items   []message
		Sources []source.Status
		Next    string
		Took    int64
	}{c.page("消息", "/console/messages"), q, g.Request.URL.Query(), shown(p.Items), c.Flow.Desk.List(), next, time.Since(begin).Milliseconds()})
}

func (c *Console) messagesAPI(g *gin.Context) {
	q, err := selection(g, c.cfg.Zone)
	if err != nil {
		c.fail(g, err)
		return
	}
	p, err := c.Flow.Journal.Search(g.Request.Context(), q)
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, gin.H{"items": shown(p.Items), "next": p.Next})
}

func (c *Console) messageAPI(g *gin.Context) {
	e, err := c.Flow.Journal.Get(g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, shown([]*journal.Entry{e})[0])
}

func (c *Console) messageRaw(g *gin.Context) {
	m, err := c.Flow.Journal.Message(g.Request.Context(), g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	g.Header("Content-Disposition", `attachment; filename="`+m.ID+`"`)
	g.Data(http.StatusOK, "application/octet-stream", m.Body)
}

// replayAPI replays by id, source, time, state or map version, or says what a
// replay would do.
func (c *Console) replayAPI(g *gin.Context) {
	var r replay.Request
	dec := json.NewDecoder(http.MaxBytesReader(g.Writer, g.Request.Body, 16<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		c.fail(g, fault.New(fault.Invalid, "请求应为 {ids, source, kind, map, state, since, until, limit, dryRun}：%w", err))
		return
	}
	rep, err := c.Flow.Replay.Run(g.Request.Context(), r)
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, rep)
}
