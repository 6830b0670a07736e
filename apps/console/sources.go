package console

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/source"
	"github.com/qihuang-health/qihuang/web"
)

// sourcesPage shows how every source is.
func (c *Console) sourcesPage(g *gin.Context) {
	c.render(g, "sources", struct {
		web.Page
		Items []source.Status
	}{c.page("来源", "/console/sources"), c.Flow.Desk.List()})
}

// sourcesTable is the part of the page that refreshes itself.
func (c *Console) sourcesTable(g *gin.Context) {
	c.render(g, "sourcetable", struct{ Items []source.Status }{c.Flow.Desk.List()})
}

// sourceForm pauses or resumes a source from the page.
func (c *Console) sourceForm(g *gin.Context) {
	name, err := g.Param("name"), error(nil)
	switch g.Param("act") {
	case "pause":
		err = c.Flow.Desk.Pause(name)
	case "resume":
		err = c.Flow.Desk.Resume(name)
	case "accept-columns":
		err = c.Flow.AcceptColumns(name)
	default:
		err = fault.New(fault.NotFound, "没有这个操作")
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, "/console/sources")
}

func (c *Console) sourceAPI(g *gin.Context) {
	s, err := c.Flow.Desk.Get(g.Param("name"))
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, s)
}

// sourceAct is an API call that changes a source and answers how it is then.
func (c *Console) sourceAct(act func(d Desk, name string) error) gin.HandlerFunc {
	return func(g *gin.Context) {
		if err := act(c.Flow.Desk, g.Param("name")); err != nil {
			c.fail(g, err)
			return
		}
		c.sourceAPI(g)
	}
}

func (c *Console) acceptColumns(g *gin.Context) {
	if err := c.Flow.AcceptColumns(g.Param("name")); err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, gin.H{"source": g.Param("name"), "status": "accepted"})
}

// alertsPage shows what an operator should look at.
func (c *Console) alertsPage(g *gin.Context) {
	c.render(g, "alerts", struct {
		web.Page
		Items []source.Alert
	}{c.page("告警", "/console/alerts"), c.Flow.Desk.Alerts()})
}

func (c *Console) alertForm(g *gin.Context) {
	if !c.Flow.Desk.Acknowledge(g.Param("id")) {
		c.fail(g, fault.New(fault.NotFound, "没有这条告警"))
		return
	}
	g.Redirect(http.StatusSeeOther, "/console/alerts")
}

func (c *Console) alertAPI(g *gin.Context) {
	if !c.Flow.Desk.Acknowledge(g.Param("id")) {
		c.fail(g, fault.New(fault.NotFound, "没有这条告警"))
		return
	}
	g.JSON(http.StatusOK, gin.H{"id": g.Param("id"), "status": "acknowledged"})
}
