package workbench

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

func urlQuery(s string) string { return url.QueryEscape(s) }
func itoa(n int) string        { return strconv.Itoa(n) }

// Summary is a map in the list.
type Summary struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version"`
	Format  string `json:"format"`
	Origin  string `json:"origin"` // shipped | folder | saved
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
}

func (w *Workbench) summaries(ctx context.Context) []Summary {
	var out []Summary
	for _, m := range w.Book.Maps() {
		passed, failures := m.Test(ctx)
		out = append(out, Summary{m.Name, m.Title, m.Version, string(m.Format), w.Book.Origin(m.Name), passed, len(failures)})
	}
	return out
}

func (w *Workbench) mapsPage(g *gin.Context) {
	w.render(g, http.StatusOK, "maps", struct {
		web.Page
		Maps []Summary
	}{w.page("消息映射", "/console/maps"), w.summaries(g.Request.Context())})
}

func (w *Workbench) mapsAPI(g *gin.Context) {
	g.JSON(http.StatusOK, gin.H{"items": w.summaries(g.Request.Context())})
}

// Preview is what a text would make of a message.
type Preview struct {
	Map       string             `json:"map,omitempty"`
	Problems  []problem          `json:"problems"` // of the map, the message, or a test
	Tree      string             `json:"tree,omitempty"`
	Resources string             `json:"resources,omitempty"` // a Bundle, indented
	Trace     []mapping.Step     `json:"trace,omitempty"`
	Notes     []problem          `json:"notes,omitempty"`
	Unmapped  []mapping.Unmapped `json:"unmapped,omitempty"`
	Passed    int                `json:"passed"` // the map's own tests
}

// Draft is what the editor holds.
type Draft struct {
	Text    string `json:"text" form:"text"`
	Message string `json:"message" form:"message"`
	Source  string `json:"source" form:"source"` // table or name of the message
	Comment string `json:"comment" form:"comment"`
}

// maxTrace bounds the steps a page shows.
const maxTrace = 2000

// preview compiles a text and tries it on a message, writing nothing.
func (w *Workbench) preview(ctx context.Context, name string, d Draft) Preview {
	p := Preview{Problems: []problem{}}
	m, err := w.Book.Compile(name, []byte(d.Text))
	if err != nil {
		p.Problems = append(p.Problems, problems(err)...)
		return p
	}
	p.Map = m.ID()
	passed, failures := m.Test(ctx)
	p.Passed = passed
	for _, f := range failures {
		p.Problems = append(p.Problems, problem{Line: f.Line, Text: "测试「" + f.Test + "」：" + f.Text})
	}
	if d.Message == "" {
		return p
	}
	src, err := mapping.Read(m.Format, d.Source, []byte(d.Message))
	if err != nil {
		p.Problems = append(p.Problems, problems(err)...)
		return p
	}
	p.Tree = indent(src.Root.Raw())
	p.Notes = w.structure(m.Format, d.Message)
	out, err := m.Trace(ctx, src)
	p.Problems = append(p.Problems, problems(err)...)
	p.Resources, p.Trace, p.Unmapped = indent(out.Bundle()), out.Trace[:min(len(out.Trace), maxTrace)], out.Unmapped
	for _, is := range out.Findings {
		p.Notes = append(p.Notes, problem{is.Line, is.Col, is.Expression, is.Text, is.Hint})
	}
	return p
}

// structure says where an HL7 v2 message is not as the standard has it.
func (w *Workbench) structure(f mapping.Format, message string) (notes []problem) {
	if f != mapping.FormatV2 {
		return nil
	}
	msg, _, err := hl7v2.Decode([]byte(message))
	if err != nil {
		return nil // told already
	}
	for _, is := range w.standard.Check(msg) {
		if is.Severity != "information" {
			notes = append(notes, problem{Place: is.Expression, Text: is.Text})
		}
	}
	return notes
}

func indent(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// editor is the page of one map.
type editor struct {
	web.Page
	Name, Origin string
	Draft        Draft
	Preview      Preview
	History      []mapping.Saved
	Saved        string
}

func (w *Workbench) mapPage(g *gin.Context) {
	m, err := w.Book.Get(g.Param("name"))
	if err != nil {
		w.fail(g, err)
		return
	}
	d := Draft{Text: string(m.Text)}
	d.Message, d.Source = m.Example()
	if id := g.Query("message"); id != "" {
		if err := w.take(g.Request.Context(), id, &d); err != nil {
			w.fail(g, err)
			return
		}
	}
	w.edit(g, http.StatusOK, m.Name, d, w.preview(g.Request.Context(), m.Name, d), g.Query("saved"))
}

// take puts a refused message into the editor.
func (w *Workbench) take(ctx context.Context, id string, d *Draft) error {
	letter, err := w.Letters.Get(ctx, id)
	if err != nil {
		return err
	}
	text, _, err := charset.Decode(letter.Message.Body, letter.Message.Charset)
	if err != nil {
		return err
	}
	d.Message, d.Source = string(text), letter.Message.Headers["name"]
	if sources, err := mapping.Sources(letter.Message); err == nil && letter.Message.Kind == mapping.KindRows && len(sources) > 0 {
		d.Message, d.Source = string(sources[0].Root.Raw()), sources[0].Name
	}
	return nil
}

func (w *Workbench) edit(g *gin.Context, status int, name string, d Draft, p Preview, saved string) {
	history, err := w.Book.History(name)
	if err != nil {
		w.fail(g, err)
		return
	}
	w.render(g, status, "map", editor{w.page("映射 "+name, "/console/maps"), name, w.Book.Origin(name), d, p, history, saved})
}

func (w *Workbench) previewPart(g *gin.Context) {
	var d Draft
	if err := g.ShouldBind(&d); err != nil {
		w.fail(g, fault.New(fault.Invalid, "表单不完整：%w", err))
		return
	}
	w.render(g, http.StatusOK, "preview", w.preview(g.Request.Context(), g.Param("name"), d))
}

func (w *Workbench) previewAPI(g *gin.Context) {
	var d Draft
	if err := g.ShouldBindJSON(&d); err != nil {
		w.fail(g, fault.New(fault.Invalid, "内容不是合法的 JSON：%w", err))
		return
	}
	g.JSON(http.StatusOK, w.preview(g.Request.Context(), g.Param("name"), d))
}

func (w *Workbench) saveForm(g *gin.Context) {
	var d Draft
	if err := g.ShouldBind(&d); err != nil {
		w.fail(g, fault.New(fault.Invalid, "表单不完整：%w", err))
		return
	}
	name := g.Param("name")
	v, err := w.Book.Save(g.Request.Context(), name, []byte(d.Text), "console", d.Comment)
	if err != nil {
		p := w.preview(g.Request.Context(), name, d)
		if len(p.Problems) == 0 {
			p.Problems = problems(err)
		}
		w.edit(g, http.StatusUnprocessableEntity, name, d, p, "")
		return
	}
	g.Redirect(http.StatusSeeOther, "/console/maps/"+name+"?saved="+itoa(v.Number))
}

func (w *Workbench) saveAPI(g *gin.Context) {
	var d Draft
	if err := g.ShouldBindJSON(&d); err != nil {
		w.fail(g, fault.New(fault.Invalid, "内容不是合法的 JSON：%w", err))
		return
	}
	v, err := w.Book.Save(g.Request.Context(), g.Param("name"), []byte(d.Text), "api", d.Comment)
	if err != nil {
		w.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, v)
}

func (w *Workbench) mapAPI(g *gin.Context) {
	m, err := w.Book.Get(g.Param("name"))
	if err != nil {
		w.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, gin.H{"name": m.Name, "title": m.Title, "version": m.Version, "format": m.Format, "origin": w.Book.Origin(m.Name), "text": string(m.Text)})
}

func (w *Workbench) versionsAPI(g *gin.Context) {
	list, err := w.Book.History(g.Param("name"))
	if err != nil {
		w.fail(g, err)
		return
	}
	if list == nil {
		list = []mapping.Saved{}
	}
	g.JSON(http.StatusOK, gin.H{"items": list})
}

func (w *Workbench) rollbackForm(g *gin.Context) {
	v, err := w.rollback(g, g.PostForm("version"))
	if err != nil {
		w.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, "/console/maps/"+g.Param("name")+"?saved="+itoa(v.Number))
}

func (w *Workbench) rollbackAPI(g *gin.Context) {
	var in struct {
		Version json.Number `json:"version"`
	}
	if err := g.ShouldBindJSON(&in); err != nil {
		w.fail(g, fault.New(fault.Invalid, "应为 {\"version\": 数字}：%w", err))
		return
	}
	v, err := w.rollback(g, in.Version.String())
	if err != nil {
		w.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, v)
}

func (w *Workbench) rollback(g *gin.Context, version string) (mapping.Saved, error) {
	n, err := strconv.Atoi(version)
	if err != nil {
		return mapping.Saved{}, fault.New(fault.Invalid, "版本应为数字")
	}
	return w.Book.Rollback(g.Request.Context(), g.Param("name"), n, "console")
}

// diff compares two versions, by default the one before with the one in force.
func (w *Workbench) diff(g *gin.Context) ([]mapping.Line, error) {
	name := g.Param("name")
	m, err := w.Book.Get(name)
	if err != nil {
		return nil, err
	}
	texts := [2][]byte{nil, m.Text}
	for i, key := range []string{"from", "to"} {
		v := g.Query(key)
		if v == "" && i == 1 {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil && v != "" {
			return nil, fault.New(fault.Invalid, "%s 应为版本号", key)
		}
		if texts[i], err = w.Book.Text(name, n); err != nil {
			return nil, err
		}
	}
	return mapping.Diff(texts[0], texts[1]), nil
}

func (w *Workbench) diffPage(g *gin.Context) {
	lines, err := w.diff(g)
	if err != nil {
		w.fail(g, err)
		return
	}
	w.render(g, http.StatusOK, "diff", struct {
		web.Page
		Name, From, To string
		Lines          []mapping.Line
	}{w.page("比较 "+g.Param("name"), "/console/maps"), g.Param("name"), g.Query("from"), g.Query("to"), lines})
}

func (w *Workbench) diffAPI(g *gin.Context) {
	lines, err := w.diff(g)
	if err != nil {
		w.fail(g, err)
		return
	}
	type line struct {
		Op   string `json:"op"` // "-" | "+"
		Old  int    `json:"old,omitempty"`
		New  int    `json:"new,omitempty"`
		Text string `json:"text"`
	}
	out := []line{}
	for _, l := range lines {
		if l.Op != ' ' {
			out = append(out, line{string(l.Op), l.Old, l.New, l.Text})
		}
	}
	g.JSON(http.StatusOK, gin.H{"lines": out})
}
