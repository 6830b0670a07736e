package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/journal"
	"github.com/qihuang-health/qihuang/web"
)

// Trace follows one message: its bytes, its values and where they went, what
// the map in force makes of it, what was written, and the rows in SQL.
type Trace struct {
	Message   message    `json:"message"`
	Copies    []string   `json:"copies"`            // edited copies of it
	Raw       string     `json:"raw"`               // decoded, the beginning of a long one
	Lines     []Line     `json:"lines"`             // the tree, flat
	Steps     []Step     `json:"steps"`             // of the map
	Planned   []planned  `json:"planned"`           // what the map in force makes of it now
	Problem   string     `json:"problem,omitempty"` // why it makes nothing of it
	Written   []string   `json:"written"`           // Type/id/version that it wrote
	Warehouse []tableRow `json:"warehouse"`
}

type planned struct {
	Method   store.Method    `json:"method"`
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Resource json.RawMessage `json:"resource,omitempty"`
}

// tableRow is one row of the warehouse.
type tableRow struct {
	Table string          `json:"table"`
	Row   json.RawMessage `json:"row"`
}

const (
	maxRaw   = 256 << 10
	maxRows  = 100
	maxSteps = 500
)

func (c *Console) trace(ctx context.Context, id string) (*Trace, error) {
	e, err := c.Flow.Journal.Get(id)
	if err != nil {
		return nil, err
	}
	t := &Trace{Message: shown([]*journal.Entry{e})[0], Lines: []Line{}, Steps: []Step{}, Planned: []planned{}, Written: e.Refs, Warehouse: []tableRow{}}
	if t.Copies, err = c.Flow.Journal.Copies(id); err != nil {
		return nil, err
	}
	m, err := c.Flow.Journal.Message(ctx, id)
	if err != nil {
		t.Problem = words(err)
		return t, nil
	}
	c.explain(ctx, t, m)
	t.Warehouse = c.rows(ctx, e.Refs)
	return t, nil
}

// explain fills in what the message says and what its map makes of it.
func (c *Console) explain(ctx context.Context, t *Trace, m *pipeline.Message) {
	t.Raw = readable(m)
	t.Lines = outline(m)
	ops, err := c.Flow.Try(ctx, m)
	if err != nil {
		t.Problem = words(err)
	}
	follow(t.Lines, ops)
	for _, op := range ops {
		t.Planned = append(t.Planned, planned{op.Method, op.Type, op.ID, op.Resource})
	}
	if c.Flow.Steps != nil {
		if steps, err := c.Flow.Steps(ctx, m); err == nil {
			t.Steps = steps[:min(len(steps), maxSteps)]
		}
	}
}

// readable is a message's text for people.
func readable(m *pipeline.Message) string {
	text, _, err := charset.Decode(m.Body, m.Charset)
	if err != nil {
		text = bytes.ToValidUTF8(m.Body, []byte("\ufffd"))
	}
	text = bytes.ToValidUTF8(text[:min(len(text), maxRaw)], nil)
	return strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\r", "\n")
}

// words are a fault's in Chinese with its place.
func words(err error) string {
	for _, is := range fault.IssuesOf(err) {
		if is.Text == "" {
			continue
		}
		s := is.Text
		if is.Expression != "" {
			s += "（" + is.Expression + "）"
		}
		if is.Hint != "" {
			s += "；" + is.Hint
		}
		return s
	}
	var f *fault.Error
	if errors.As(err, &f) && f.Kind != fault.Internal {
		return f.Msg
	}
	return "系统内部错误"
}

// tables are the warehouse's tables of a resource type, found by the resource's
// id.
var tables = map[string][]string{"Patient": {"patient"}, "Encounter": {"encounter"}, "Condition": {"condition"}, "MedicationRequest": {"prescription"}, "ChargeItem": {"charge"}}

// rows are the current rows of what was written; none while the engine is away.
func (c *Console) rows(ctx context.Context, refs []string) []tableRow {
	byTable := map[string][]string{}
	for _, ref := range refs {
		if parts := strings.Split(ref, "/"); len(parts) == 3 {
			for _, t := range tables[parts[0]] {
				byTable[t] = append(byTable[t], parts[1])
			}
		}
	}
	out := []tableRow{}
	for table, ids := range byTable {
		err := c.SQL.Query(ctx, "SELECT formatRowNoNewline('JSONEachRow', *) FROM qihuang."+table+" FINAL WHERE id IN splitByChar(',', {ids:String}) LIMIT 100",
			map[string]string{"ids": strings.Join(ids, ",")}, func(scan func(...any) error) error {
				var row string
				if err := scan(&row); err != nil {
					return err
				}
				if len(out) < maxRows && json.Valid([]byte(row)) {
					out = append(out, tableRow{table, json.RawMessage(row)})
				}
				return nil
			})
		if err != nil {
			c.Log.WarnContext(ctx, "rows of a message", "table", table, "error", err)
		}
	}
	return out
}

// messagePage shows a message's trace.
func (c *Console) messagePage(g *gin.Context) {
	t, err := c.trace(g.Request.Context(), g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	c.render(g, "message", struct {
		web.Page
		*Trace
	}{c.page("消息追踪", "/console/messages"), t})
}

func (c *Console) traceAPI(g *gin.Context) {
	t, err := c.trace(g.Request.Context(), g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, t)
}

// Links are the written versions with their addresses below the FHIR base.
func (t *Trace) Links() []web.Link {
	out := make([]web.Link, 0, len(t.Written))
	for _, ref := range t.Written {
		if p := strings.Split(ref, "/"); len(p) == 3 {
			out = append(out, web.Link{Name: ref, URL: p[0] + "/" + p[1] + "/_history/" + p[2]})
		}
	}
	return out
}

// Indented is a resource for reading.
func (p planned) Indented() string {
	var b bytes.Buffer
	if json.Indent(&b, p.Resource, "", "  ") != nil {
		return string(p.Resource)
	}
	return b.String()
}
