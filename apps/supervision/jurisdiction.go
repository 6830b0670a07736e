package supervision

import (
	"cmp"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/supervision/report"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
)

// rankOrder are the levels of users and of places, the lowest first.
var rankOrder = []string{report.OfHall, report.OfCounty, report.OfCity, report.OfProvince}

// rankTitles are the levels in words.
var rankTitles = map[string]string{report.OfHall: "中医馆", report.OfCounty: "县级", report.OfCity: "市级", report.OfProvince: "省级"}

// ranks reports whether the user is of a level or above it; who needs no login,
// and a step that no level is reserved for, pass.
func (u *User) ranks(level string) bool {
	return slices.Index(rankOrder, u.level()) >= slices.Index(rankOrder, level)
}

// signer is who signs a form: the user who asks, or the name in the form where
// there are no users.
func signer(g *gin.Context) string {
	if u := user(g); u != nil {
		return u.Name
	}
	return field(g, "by")
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
		*x.asked = cmp.Or(*x.asked, x.own)
		if x.own != "" && *x.asked != x.own {
			return beyond()
		}
	}
	return nil
}

// oversees tells of a hall's code whether it is in the jurisdiction of who asks.
func (a *App) oversees(g *gin.Context) (func(org string) bool, error) {
	u := user(g)
	if !u.placed() {
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

// supervises is [App.within] for what only those above a hall may ask of it.
func (a *App) supervises(g *gin.Context, org string) error {
	if !user(g).ranks(report.OfCounty) {
		return fault.New(fault.Forbidden, "这项办理要由上级机构的用户发起")
	}
	return a.within(g, org)
}

// withinPlace refuses a report's place outside the jurisdiction of who asks.
func (a *App) withinPlace(g *gin.Context, p report.Place) error {
	u := user(g)
	switch {
	case !u.placed():
		return nil
	case p.Org != "":
		return a.within(g, p.Org)
	case u.Org != "" || u.Area != "" && u.Area != p.Area || u.City != "" && u.City != p.City:
		return beyond()
	}
	return nil
}

// assignees are the organisations, by code, that who asks may give a task to: the
// halls of the jurisdiction and the authorities above them up to the user's own.
func (a *App) assignees(g *gin.Context) (map[string]alerts.Hall, error) {
	all, err := a.Desk.Organizations(g.Request.Context())
	u := user(g)
	if err != nil || !u.placed() {
		return all, err
	}
	may, err := a.oversees(g)
	if err != nil {
		return nil, err
	}
	out := map[string]alerts.Hall{}
	for code := range all {
		if !may(code) {
			continue
		}
		out[code] = all[code]
		for up, ok := all[all[code].Owner]; ok && slices.Contains(rankOrder, up.Level) && u.ranks(up.Level); up, ok = all[up.Owner] {
			if _, known := out[up.Code]; known {
				break
			}
			out[up.Code] = up
		}
	}
	return out, nil
}

func beyond() error {
	return fault.New(fault.Forbidden, "超出了您的监管范围；需要查看请联系上级管理员")
}
