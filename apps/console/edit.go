package console

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/web"
)

// editPage shows a dead letter to be mended. The original stays as it is.
func (c *Console) editPage(g *gin.Context) {
	d, err := c.Letters.Get(g.Request.Context(), g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	c.showEdit(g, d, readable(d.Message), "")
}

func (c *Console) showEdit(g *gin.Context, d *pipeline.DeadLetter, text, verdict string) {
	c.render(g, "edit", struct {
		web.Page
		*pipeline.DeadLetter
		Text, Verdict string
		Cut           bool
	}{c.page("修改并重放", "/console/dead-letters"), d, text, verdict, len(d.Message.Body) > maxRaw})
}

// editForm tries the edited text, or sends it.
func (c *Console) editForm(g *gin.Context) {
	d, err := c.Letters.Get(g.Request.Context(), g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	text := g.PostForm("text")
	if g.PostForm("act") == "try" {
		m := *d.Message
		m.Body, m.Charset = []byte(text), ""
		verdict := "可以入库"
		if _, err := c.Flow.Try(g.Request.Context(), &m); err != nil {
			verdict = "仍会被拒收：" + words(err)
		}
		c.showEdit(g, d, text, verdict)
		return
	}
	id, err := c.Flow.Replay.Mend(g.Request.Context(), d.ID, []byte(text))
	if err != nil {
		c.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, "/console/messages/"+id)
}

// editAPI sends an edited copy of a dead letter: the body is the new message.
func (c *Console) editAPI(g *gin.Context) {
	b, err := body(g)
	if err == nil && len(b) == 0 {
		err = fault.New(fault.Invalid, "请在请求体里放修改后的消息全文")
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	id, err := c.Flow.Replay.Mend(g.Request.Context(), g.Param("id"), b)
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusAccepted, gin.H{"id": id, "copyOf": g.Param("id"), "status": "accepted"})
}
