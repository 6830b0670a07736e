package guide

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// Mount adds the pages to r.
func (a *App) Mount(r gin.IRouter) {
	p := r.Group("/guide", func(g *gin.Context) {
		g.Header("Content-Security-Policy", web.Policy)
		g.Header("X-Content-Type-Options", "nosniff")
	})
	p.GET("", a.index)
	p.GET("/package.tgz", a.download)
	p.GET("/:type/:id", a.artefact)
}

func (a *App) page(title string) web.Page {
	return web.NewPage(title, a.cfg.Version, a.cfg.Zone, a.cfg.Local, "/guide")
}

func (a *App) index(g *gin.Context) {
	a.render(g, "index", struct {
		web.Page
		Chapters []chapter
		Package  string
		Size     int64
	}{a.page("中医 FHIR 实施指南"), a.chapters, conformance.PackageName + "#" + conformance.PackageVersion, int64(len(a.pack))})
}

func (a *App) download(g *gin.Context) {
	g.Header("Content-Disposition", `attachment; filename="`+conformance.PackageName+"-"+conformance.PackageVersion+`.tgz"`)
	g.Data(http.StatusOK, "application/gzip", a.pack)
}

// detail is what the page of one artefact shows; only the part of its type is
// filled.
type detail struct {
	web.Page
	*artefact
	Title                             string
	Canonical, Source, Review, Status string
	JSON                              string
	Rows                              []row
	Picture                           picture
	Profile                           *link // the profile of an example
	Codes                             *codes
	Pairs                             []pair
	Questions                         []question
	Actions                           []action
	Duties                            []duty
	Operations                        string
	Expression, Kind, Base            string
}

func (a *App) artefact(g *gin.Context) {
	x, n, err := a.find(g.Param("type"), g.Param("id"))
	if err != nil {
		a.fail(g, err)
		return
	}
	if strings.HasSuffix(g.Param("id"), ".json") {
		g.Data(http.StatusOK, "application/fhir+json; charset=utf-8", x.body)
		return
	}
	d := detail{Page: a.page(x.Title), artefact: x, Title: x.Title, Canonical: x.URL, Source: n.Get("copyright").Str(), Review: n.Get("purpose").Str(), Status: n.Get("status").Str()}
	if err := a.fill(g, &d, n); err != nil {
		a.fail(g, err)
		return
	}
	a.render(g, "artefact", d)
}

// fill adds the part that the artefact's type asks for.
func (a *App) fill(g *gin.Context, d *detail, n fhir.Node) (err error) {
	switch d.Type {
	case "StructureDefinition":
		d.Rows = a.rows(n)
		d.Picture = draw(d.Of, d.Rows)
	case "CodeSystem", "ValueSet":
		d.Codes, err = a.codes(g, n)
	case "ConceptMap":
		d.Pairs = pairs(n)
	case "Questionnaire":
		d.Questions = questions(n.Get("item"))
	case "PlanDefinition":
		d.Actions = actions(n)
	case "CapabilityStatement":
		d.Duties, d.Operations = a.duties(n)
	case "SearchParameter":
		d.Expression, d.Kind, d.Base = n.Get("expression").Str(), n.Get("type").Str(), n.Get("base").At(0).Str()
	default:
		d.JSON, err = pretty(d.body)
	}
	if p := a.byURL[d.artefact.Profile]; p != nil {
		d.Profile = &link{p.Title, p.Path()}
	}
	return err
}

// codes lists the codes of a code system (through the value set of all of them)
// or of a value set.
func (a *App) codes(g *gin.Context, n fhir.Node) (*codes, error) {
	valueSet, system := n.Get("url").Str(), fhir.Node{}
	if n.ResourceType() == "CodeSystem" {
		valueSet, system = n.Get("valueSet").Str(), n
		if n.Get("concept").Len() == 0 {
			return nil, nil
		}
	}
	from, err := strconv.Atoi(g.DefaultQuery("from", "0"))
	if err != nil || from < 0 || from > 1_000_000 {
		return nil, fault.New(fault.Invalid, "from 应为不小于 0 的整数")
	}
	query := g.Query("q")
	if len(query) > 200 {
		return nil, fault.New(fault.Invalid, "检索词过长，请缩短到 60 个字以内")
	}
	c, err := a.concepts(g.Request.Context(), valueSet, system, query, from)
	return &c, err
}

func pretty(b []byte) (string, error) {
	var out bytes.Buffer
	err := json.Indent(&out, bytes.TrimSpace(b), "", "  ")
	return out.String(), err
}

func (a *App) render(g *gin.Context, name string, data any) {
	g.Header("Content-Type", "text/html; charset=utf-8")
	g.Header("Cache-Control", "no-cache")
	if err := a.pages.ExecuteTemplate(g.Writer, name, data); err != nil {
		a.log.ErrorContext(g, "render page", "page", name, "error", err)
	}
}

// fail shows a sentence that says what to do.
func (a *App) fail(g *gin.Context, err error) {
	status := http.StatusInternalServerError
	switch fault.KindOf(err) {
	case fault.NotFound:
		status = http.StatusNotFound
	case fault.Invalid:
		status = http.StatusBadRequest
	default:
		a.log.ErrorContext(g, "guide page", "path", g.FullPath(), "error", err)
	}
	msg := "系统内部错误，请稍后再试"
	if f := (*fault.Error)(nil); status < 500 && errors.As(err, &f) {
		msg = f.Msg
	}
	g.Status(status)
	a.render(g, "fail", struct {
		web.Page
		Message string
	}{a.page("打不开这一页"), msg})
}
