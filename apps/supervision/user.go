package supervision

import (
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

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
func (u *User) placed() bool { return u.City != "" || u.Area != "" || u.Org != "" }

// Door lets in the users of the configuration, everybody where there are none.
// What is not a page of a place, and the JSON interfaces, are the province's.
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
	case u != nil && u.placed():
		g.AbortWithStatusJSON(http.StatusForbidden, map[string]string{"error": "这个接口给出全省的数据，只对省级用户开放；请用监管页面"})
	case u != nil && g.FullPath() == "/api/supervision/records":
		if err := d.look(g, "records "+g.Query("measure")); err != nil {
			status, msg := alerts.Status(err)
			g.AbortWithStatusJSON(status, map[string]string{"error": msg})
		}
	}
}

// local are the pages that show no more than a place.
var local = []string{"/supervision", "/supervision/indicators", "/supervision/indicator/:measure", "/supervision/records", "/supervision/visit/:id", "/supervision/map",
	"/supervision/halls", "/supervision/hall", "/supervision/workload", "/supervision/spectrum", "/supervision/pivot", "/supervision/alerts"}

// guard is the door of the pages.
func (a *App) guard(g *gin.Context) {
	u, ok := a.Door.admit(g)
	if !ok {
		g.Data(http.StatusUnauthorized, "text/plain; charset=utf-8", []byte("请登录：用户在配置 supervision.users 里，忘记口令请找管理员重设"))
		g.Abort()
		return
	}
	if u != nil && u.placed() && (g.Request.Method != http.MethodGet && g.Request.Method != http.MethodHead || !slices.Contains(local, g.FullPath())) {
		a.fail(g, fault.New(fault.Forbidden, "这一页或这项办理涉及全省，只对省级用户开放"))
		g.Abort()
	}
}

// user is who asks; nil where there are no users.
func user(ctx context.Context) *User {
	u, _ := ctx.Value(userKey).(*User)
	return u
}

// confine holds a filter within the jurisdiction of who asks: what it leaves open
// is filled, what it names beyond is refused.
func (s *scope) confine(g *gin.Context) error {
	u := user(g)
	if u == nil {
		return nil
	}
	for _, x := range []struct {
		asked *string
		own   string
	}{{&s.City, u.City}, {&s.Area, u.Area}, {&s.Org, u.Org}} {
		switch {
		case x.own == "" || *x.asked == x.own:
		case *x.asked == "":
			*x.asked = x.own
		default:
			return beyond()
		}
	}
	return nil
}

// oversees tells of a hall's code whether it is in the jurisdiction of who asks.
func (a *App) oversees(g *gin.Context) (func(org string) bool, error) {
	u := user(g)
	if u == nil || !u.placed() {
		return func(string) bool { return true }, nil
	}
	p, err := a.directory(g.Request.Context())
	if err != nil {
		return nil, err
	}
	halls := map[string]bool{}
	for _, h := range p.within(u.City, u.Area, u.Org) {
		halls[h.Code] = true
	}
	return func(org string) bool { return halls[org] }, nil
}

// within refuses a hall outside the jurisdiction of who asks.
func (a *App) within(g *gin.Context, org string) error {
	may, err := a.oversees(g)
	if err == nil && !may(org) {
		return beyond()
	}
	return err
}

func beyond() error {
	return fault.New(fault.Forbidden, "超出了您的监管范围；需要查看请联系上级管理员")
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
