package his

import (
	"crypto/rand"
	"encoding/hex"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// LaunchConfig of the pages a HIS shows inside its own.
type LaunchConfig struct {
	Pages  map[string]string // resource of the interface → path of our page
	Life   time.Duration     // of a ticket that nobody used
	Limit  int               // tickets waiting at once
	Secure bool              // addresses told are https
}

// DefaultLaunch knows the resources of the interface document.
func DefaultLaunch() LaunchConfig {
	return LaunchConfig{Life: time.Minute, Limit: 10_000, Pages: map[string]string{"EMR_WRITE": "/emr", "AE_EDIT": "/cdss", "K_LOOK": "/kb",
		"HEAL_CHECKBODY": "/preventive", "TELEMED": "/telemed", "EDU": "/edu"}}
}

// Launch opens pages of the platform inside a HIS (embeddedPages of the
// interface document): the HIS asks for an address and gets one with a ticket
// that works once, within a minute, for the doctor, patient and visit it named.
//
//	POST /his/pages          form resource, jsonpCallback, orgCode, doctorId … → _(["http://…/his/launch?ticket=ST-…"])
//	GET  /his/launch?ticket= → the page
//	GET  /his/login?uid=&service=       → service with a ticket (CAS style)
//	GET  /his/serviceValidate?ticket=&service= → who the ticket is for
type Launch struct {
	cfg     LaunchConfig
	clock   clock.Clock
	mu      sync.Mutex
	tickets map[string]ticket
}

// ticket is one permitted opening.
type ticket struct {
	user, target string
	ends         time.Time
}

// NewLaunch returns the launch door.
func NewLaunch(cfg LaunchConfig, clk clock.Clock) *Launch {
	return &Launch{cfg: cfg, clock: clk, tickets: map[string]ticket{}}
}

// Mount adds the routes.
func (l *Launch) Mount(r gin.IRouter) {
	r.POST("/his/pages", l.pages)
	r.GET("/his/launch", l.open)
	r.GET("/his/login", l.login)
	r.GET("/his/serviceValidate", l.validate)
}

// issue makes a ticket. Old ones are swept when there are many.
func (l *Launch) issue(user, target string) (string, error) {
	var b [20]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	id := "ST-" + hex.EncodeToString(b[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if len(l.tickets) >= l.cfg.Limit {
		for k, t := range l.tickets {
			if now.After(t.ends) {
				delete(l.tickets, k)
			}
		}
		if len(l.tickets) >= l.cfg.Limit {
			return "", fault.New(fault.Busy, "等待打开的页面过多，请稍后再试")
		}
	}
	l.tickets[id] = ticket{user, target, now.Add(l.cfg.Life)}
	return id, nil
}

// take uses a ticket up; fault.Gone if it was used, is too old or never was.
func (l *Launch) take(id string) (ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.tickets[id]
	delete(l.tickets, id)
	if !ok || l.clock.Now().After(t.ends) {
		return ticket{}, fault.New(fault.Gone, "票据无效或已用过，请从 HIS 重新打开")
	}
	return t, nil
}

var callback = regexp.MustCompile(`^[A-Za-z_$][\w$.]{0,60}$`)

// pages answers with the address of a page, wrapped as JSONP where asked.
func (l *Launch) pages(c *gin.Context) {
	resource := c.PostForm("resource")
	path, ok := l.cfg.Pages[resource]
	if !ok {
		answer(c, fault.New(fault.NotFound, "没有页面 %s", resource))
		return
	}
	name := c.PostForm("jsonpCallback")
	if name == "" {
		name = "_"
	}
	if !callback.MatchString(name) {
		answer(c, fault.New(fault.Invalid, "jsonpCallback 只能是函数名"))
		return
	}
	id, err := l.issue(first(c, "chisZggh", "doctorId", "uid"), path+circumstances(c))
	if err != nil {
		answer(c, err)
		return
	}
	out := append([]byte(name), `([`...)
	out = append(fhir.AppendString(out, l.base(c)+"/his/launch?ticket="+id), `])`...)
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
	c.Data(http.StatusOK, "application/javascript; charset=utf-8", out)
}

func first(c *gin.Context, names ...string) string {
	for _, n := range names {
		if v := strings.TrimSpace(c.PostForm(n)); v != "" && v != "null" {
			return v
		}
	}
	return ""
}

// circumstances names the patient and the visit by our ids, as a page's query.
func circumstances(c *gin.Context) string {
	q := url.Values{}
	org := first(c, "orgCode", "organCode")
	for key, id := range map[string]string{
		"patient":      tcm.PatientID(org, first(c, "patientid", "patientId")),
		"encounter":    tcm.EncounterID(org, first(c, "clinicId")),
		"practitioner": tcm.PractitionerID(org, first(c, "chisZggh", "doctorId")),
	} {
		name := map[string][]string{"patient": {"patientid", "patientId"}, "encounter": {"clinicId"}, "practitioner": {"chisZggh", "doctorId"}}[key]
		if org != "" && first(c, name...) != "" {
			q.Set(key, id)
		}
	}
	if back := first(c, "returnHisUrl"); back != "" {
		q.Set("return", back)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func (l *Launch) base(c *gin.Context) string {
	scheme := "http"
	if l.cfg.Secure || c.Request.TLS != nil || c.GetHeader("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host
}

// open leads a ticket's browser to its page.
func (l *Launch) open(c *gin.Context) {
	t, err := l.take(c.Query("ticket"))
	if err != nil {
		c.Data(http.StatusGone, "text/plain; charset=utf-8", []byte(err.Error()+"\n"))
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Header("Referrer-Policy", "no-referrer")
	c.Redirect(http.StatusSeeOther, t.target)
}

// login gives a service of this platform a ticket for a user of the HIS.
func (l *Launch) login(c *gin.Context) {
	uid, service := c.Query("uid"), c.Query("service")
	u, err := url.Parse(service)
	if uid == "" || service == "" || err != nil || u.Host != "" && u.Host != c.Request.Host || u.Host == "" && !strings.HasPrefix(u.Path, "/") {
		answer(c, fault.New(fault.Invalid, "需要 uid 与本平台内的 service 地址"))
		return
	}
	id, err := l.issue(uid, service)
	if err != nil {
		answer(c, err)
		return
	}
	q := u.Query()
	q.Set("ticket", id)
	u.RawQuery = q.Encode()
	c.Header("Cache-Control", "no-store")
	c.Redirect(http.StatusFound, u.String())
}

// validate tells a service whom a ticket was given to (CAS 2.0).
func (l *Launch) validate(c *gin.Context) {
	t, err := l.take(c.Query("ticket"))
	if err == nil && t.target != c.Query("service") {
		err = fault.New(fault.Invalid, "票据不是给这个 service 的")
	}
	var b strings.Builder
	b.WriteString(`<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">`)
	if err != nil {
		b.WriteString(`<cas:authenticationFailure code="INVALID_TICKET">` + html.EscapeString(err.Error()) + `</cas:authenticationFailure>`)
	} else {
		b.WriteString(`<cas:authenticationSuccess><cas:user>` + html.EscapeString(t.user) + `</cas:user></cas:authenticationSuccess>`)
	}
	b.WriteString(`</cas:serviceResponse>`)
	c.Data(http.StatusOK, "application/xml; charset=utf-8", []byte(b.String()))
}
