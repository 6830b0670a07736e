package supervision

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Bounds of what people write into forms.
const (
	maxForm = 64 << 10
	maxText = 2000 // runes of one field
)

// sameOrigin refuses a form that another site sent, and one that is too large.
func (a *App) sameOrigin(g *gin.Context) {
	g.Request.Body = http.MaxBytesReader(g.Writer, g.Request.Body, maxForm)
	if o := g.GetHeader("Origin"); o != "" {
		if u, err := url.Parse(o); err != nil || u.Host != g.Request.Host {
			a.fail(g, fault.New(fault.Forbidden, "请求来自别的网站，已拒绝"))
			g.Abort()
			return
		}
	}
	if err := g.Request.ParseForm(); err != nil {
		a.fail(g, fault.New(fault.Invalid, "表单读不出或超过 64 KB，请缩短后再提交"))
		g.Abort()
		return
	}
	for _, list := range g.Request.PostForm {
		for _, v := range list {
			if len([]rune(v)) > maxText {
				a.fail(g, fault.New(fault.Invalid, "一栏最多 %d 字，请缩短后再提交", maxText))
				g.Abort()
				return
			}
		}
	}
}

// field is one field of a posted form, without blanks around it.
func field(g *gin.Context, name string) string { return strings.TrimSpace(g.PostForm(name)) }

// deadline reads a day as its end; zero for none.
func deadline(day string) (time.Time, error) {
	if day == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, day, shanghai)
	if err != nil {
		return t, fault.New(fault.Invalid, "期限 %q 应写作 2026-11-30", day)
	}
	return t.AddDate(0, 0, 1).Add(-time.Second), nil
}

// seeOther leads the browser to the page that shows what a form did, so that
// reloading does not do it again.
func seeOther(g *gin.Context, to string) { g.Redirect(http.StatusSeeOther, to) }
