package supervision

import (
	"context"
	"encoding/json"
	"html/template"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/wire"
)

// Systems of saved analyses.
const (
	paperSystem   = "https://qihuang.health/fhir/CodeSystem/supervision-paper"
	savedAnalysis = "saved-analysis"
	extQuery      = "https://qihuang.health/fhir/StructureDefinition/saved-query"
	maxSaved      = 200
)

// basic is a FHIR R4 Basic that keeps an ad-hoc table: its name and the query of
// its page.
type basic struct {
	ResourceType string         `json:"resourceType"`
	ID           string         `json:"id"`
	Extension    []extension    `json:"extension"`
	Code         wire.Concept   `json:"code"`
	Created      string         `json:"created"`
	Author       wire.Reference `json:"author"`
}

type extension struct {
	URL   string `json:"url"`
	Value string `json:"valueString"`
}

// saved is an ad-hoc table that someone saved.
type saved struct {
	ID, Name, By, Day string
	Link              template.URL
	version           int64
}

func readSaved(p cabinet.Paper) (saved, error) {
	var b basic
	if err := json.Unmarshal(p.Body, &b); err != nil {
		return saved{}, fault.New(fault.Invalid, "read a saved analysis: %w", err)
	}
	s := saved{ID: p.ID, Name: b.Code.Text, By: b.Author.Display, Day: b.Created, version: p.Version}
	for _, e := range b.Extension {
		if q, err := url.ParseQuery(e.Value); err == nil && e.URL == extQuery {
			s.Link = template.URL("/supervision/pivot?" + q.Encode())
		}
	}
	return s, nil
}

// savedList lists the saved tables, the newest first.
func (a *App) savedList(ctx context.Context) (out []saved, err error) {
	list, err := a.Papers.List(ctx, "Basic", "_sort=-_lastUpdated&code="+url.QueryEscape(paperSystem+"|"+savedAnalysis), maxSaved)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		s, err := readSaved(p)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// savePivot saves the table of the form's query under a name.
func (a *App) savePivot(g *gin.Context) {
	name, by := field(g, "name"), signer(g)
	q, err := url.ParseQuery(field(g, "query"))
	switch {
	case err != nil || len(q["m"]) == 0 || len(q["d"]) == 0:
		err = fault.New(fault.Invalid, "请先选好分组和指标并计算，再保存")
	case name == "" || by == "":
		err = fault.New(fault.Invalid, "请填写名称和保存人")
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	q.Del("format")
	id := "analysis-" + uuid.NewString()
	body, err := json.Marshal(basic{"Basic", id, []extension{{extQuery, q.Encode()}}, wire.Code(paperSystem, savedAnalysis, "").Worded(name), a.Now().In(shanghai).Format(time.DateOnly), wire.Reference{Display: by}})
	if err == nil {
		err = a.Papers.Put(g.Request.Context(), cabinet.Paper{Type: "Basic", ID: id, Body: body})
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, "/supervision/saved/"+id)
}

// find reads a saved table.
func (a *App) find(ctx context.Context, id string) (saved, error) {
	p, err := a.Papers.Read(ctx, "Basic", id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return saved{}, fault.New(fault.NotFound, "没有这张保存的表，可能已经删除")
	}
	if err != nil {
		return saved{}, err
	}
	return readSaved(p)
}

// openSaved is the address to share: it leads to the table as it was saved.
func (a *App) openSaved(g *gin.Context) {
	s, err := a.find(g.Request.Context(), g.Param("id"))
	if err == nil && s.Link == "" {
		err = fault.New(fault.NotFound, "这不是保存的自助分析")
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, string(s.Link))
}

// deleteSaved removes a saved table.
func (a *App) deleteSaved(g *gin.Context) {
	s, err := a.find(g.Request.Context(), g.Param("id"))
	if err == nil && s.Link == "" {
		err = fault.New(fault.NotFound, "这不是保存的自助分析")
	}
	if u := user(g); err == nil && u.placed() && s.By != u.Name {
		err = fault.New(fault.Forbidden, "这张表由“%s”保存，只能由本人或省级用户删除", s.By)
	}
	if err == nil {
		err = a.Papers.Delete(g.Request.Context(), cabinet.Paper{Type: "Basic", ID: s.ID, Version: s.version})
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, "/supervision/pivot")
}
