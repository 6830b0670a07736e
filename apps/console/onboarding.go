package console

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/source"
	"github.com/qihuang-health/qihuang/web"
)

// Selftest is what became of a partner's test message, without effect: line by
// line what was understood, and what is missing.
type Selftest struct {
	OK      bool      `json:"ok"`
	Kind    string    `json:"kind"`
	Lines   []Line    `json:"lines"`
	Unused  int       `json:"unused"` // values that nothing uses
	Missing []Finding `json:"missing"`
	Planned []planned `json:"planned"`
	Steps   []Step    `json:"steps"`
}

// Finding is what is wrong, where, and how to mend it.
type Finding struct {
	Place string `json:"place"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// selftest tries a partner's message.
func (c *Console) selftest(g *gin.Context, name string, body []byte) (*Selftest, error) {
	m, err := c.Flow.Sample(name, g.Query("table"), body)
	if err != nil {
		return nil, err
	}
	t := &Trace{}
	c.explain(g.Request.Context(), t, m)
	s := &Selftest{OK: t.Problem == "", Kind: m.Kind, Lines: t.Lines, Planned: t.Planned, Steps: t.Steps, Missing: []Finding{}}
	for _, l := range t.Lines {
		if len(l.To) == 0 {
			s.Unused++
		}
	}
	if s.OK {
		return s, nil
	}
	_, err = c.Flow.Try(g.Request.Context(), m)
	for _, is := range fault.IssuesOf(err) {
		if is.Severity != "warning" && is.Severity != "information" {
			s.Missing = append(s.Missing, Finding{fault.Place(fault.New(fault.Invalid, "").With(is)), is.Text, is.Hint})
		}
	}
	if len(s.Missing) == 0 {
		s.Missing = append(s.Missing, Finding{Text: t.Problem})
	}
	return s, nil
}

// onboardingPage is a partner's page: where to send, and a test without effect.
func (c *Console) onboardingPage(g *gin.Context) { c.showOnboarding(g, "", nil) }

func (c *Console) showOnboarding(g *gin.Context, text string, result *Selftest) {
	s, err := c.Flow.Desk.Get(g.Param("source"))
	if err != nil {
		c.fail(g, err)
		return
	}
	c.render(g, "onboarding", struct {
		web.Page
		Source     source.Status
		Base, Text string
		Result     *Selftest
	}{c.page("接入自测："+s.Name, "/console/sources"), s, c.cfg.Base, text, result})
}

func (c *Console) onboardingForm(g *gin.Context) {
	text := g.PostForm("text")
	r, err := c.selftest(g, g.Param("source"), []byte(text))
	if err != nil {
		c.fail(g, err)
		return
	}
	c.showOnboarding(g, text, r)
}

// onboardingAPI tries the request's body as a message of the source.
func (c *Console) onboardingAPI(g *gin.Context) {
	b, err := body(g)
	if err == nil {
		_, err = c.Flow.Desk.Get(g.Param("source"))
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	r, err := c.selftest(g, g.Param("source"), b)
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, r)
}
