package supervision

import (
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/supervision/report"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/login"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
)

// User is somebody who supervises, with a jurisdiction: a city, a county or a
// hall; none = the province.
type User struct {
	Name     string `yaml:"name"`
	Password string `yaml:"passwordSHA256"` // hex of the SHA-256 of the password
	City     string `yaml:"city"`           // name, as the directory of halls has it
	Area     string `yaml:"area"`           // county, as the directory of halls has it
	Org      string `yaml:"org"`            // code of one hall
	Records  bool   `yaml:"records"`        // may open the records behind a number; each look is audited
}

// Credentials are what the user logs in with.
func (u User) Credentials() (name, passwordSHA256 string) { return u.Name, u.Password }

// placed reports whether the user has less than the province.
func (u *User) placed() bool { return u.level() != report.OfProvince }

// level is that of the user's place, as reports name it.
func (u *User) level() string {
	if u == nil {
		return report.OfProvince
	}
	return report.Place{City: u.City, Area: u.Area, Org: u.Org}.Level()
}

// Door lets in the users of the configuration, everybody where there are none.
// Pages show each his place; the JSON interfaces are the province's.
type Door struct {
	Users []User
	// Audit records that a user looked at a record ("Encounter/…") or a list of
	// them; an error keeps it from being shown.
	Audit func(ctx context.Context, user, what string) error
}

// userKey is where a request keeps its user.
const userKey = "supervision.user"

// admit identifies the user of a request by HTTP Basic; ok is false after a refusal.
func (d *Door) admit(g *gin.Context) (u *User, ok bool) {
	if len(d.Users) == 0 {
		return nil, true
	}
	name, password, _ := g.Request.BasicAuth()
	u = login.Find(d.Users, name, password)
	if u == nil {
		g.Header("WWW-Authenticate", `Basic realm="Qihuang supervision", charset="UTF-8"`)
		return nil, false
	}
	g.Set(userKey, u)
	return u, true
}

// API guards the JSON interfaces below /api/supervision, which know no places.
func (d *Door) API(g *gin.Context) {
	u, ok := d.admit(g)
	switch {
	case !ok:
		g.AbortWithStatusJSON(http.StatusUnauthorized, map[string]string{"error": "请登录：用户在配置 supervision.users 里"})
	case u.placed():
		g.AbortWithStatusJSON(http.StatusForbidden, map[string]string{"error": "这个接口给出全省的数据，只对省级用户开放；请用监管页面"})
	case u != nil && g.FullPath() == "/api/supervision/records":
		if err := d.look(g, "records "+g.Query("measure")); err != nil {
			status, msg := alerts.Status(err)
			g.AbortWithStatusJSON(status, map[string]string{"error": msg})
		}
	}
}

// provincial are the routes that concern the whole province.
var provincial = []string{"POST /supervision/alerts", "GET /supervision/backtest"}

// guard is the door of the pages. What a page shows of a place, and what it does
// for one, it holds within the jurisdiction itself.
func (a *App) guard(g *gin.Context) {
	u, ok := a.Door.admit(g)
	if !ok {
		g.Data(http.StatusUnauthorized, "text/plain; charset=utf-8", []byte("请登录：用户在配置 supervision.users 里，忘记口令请找管理员重设"))
		g.Abort()
		return
	}
	if u.placed() && slices.Contains(provincial, g.Request.Method+" "+g.FullPath()) {
		a.fail(g, fault.New(fault.Forbidden, "这一页或这项办理涉及全省，只对省级用户开放"))
		g.Abort()
	}
}

// user is who asks; nil where there are no users.
func user(ctx context.Context) *User {
	u, _ := ctx.Value(userKey).(*User)
	return u
}

// look records that the user of a request looks at records, if it may.
func (d *Door) look(g *gin.Context, what string) error {
	u := user(g)
	if u == nil {
		return nil
	}
	if !u.Records {
		return fault.New(fault.Forbidden, "查看单次就诊和处方要有明细权限（supervision.users 的 records），每次查看都会留痕")
	}
	return d.Audit(g.Request.Context(), u.Name, what)
}
