package console

import (
	"context"
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// Settlements tells of 新农合/医保 settlements.
type Settlements interface {
	// Sources names the settlement sources.
	Sources() []string
	// Open returns the steps at the centres whose effect is not settled yet.
	Open(ctx context.Context) ([]OpenStep, error)
	// Reconcile compares the centre's list of some days (YYYY-MM-DD) with a
	// hall's rows; fault.Invalid, fault.Unavailable.
	Reconcile(ctx context.Context, source, hospital, from, to string) (*Reconciliation, error)
}

// OpenStep is a step at a centre that has begun and not ended.
type OpenStep struct {
	ID, Source, Hospital, Visit, Invoice string
	Step, State, Words                   string // Chinese
	Since                                string
	Tries                                int
}

// Reconciliation is what a comparison found.
type Reconciliation struct {
	Source, Hospital, From, To string
	ID                         string // of the PaymentReconciliation
	Compared                   int
	Paid                       string
	Mismatches                 []Mismatch
	Orphans                    []string // bxid of rows that the centre does not list
}

// Mismatch is one difference with what both sides hold.
type Mismatch struct {
	Code, Name              string
	ID, Benefit             string // bxid, and the resource id
	Invoice, Visit, Card    string
	Time                    string
	CentreState, HallState  string
	CentreTotal, CentrePaid string
	HallTotal, HallPaid     string // "" = no single row
}

const settlementsURL = "/console/settlements"

func (c *Console) mountSettlements(p gin.IRouter) {
	if c.Settlements == nil {
		return
	}
	p.GET(settlementsURL, func(g *gin.Context) { c.settlementsPage(g, nil, "") })
	p.POST(settlementsURL, sameOrigin, c.reconcileForm)
}

// settlementsForm keeps what was asked for.
type settlementsForm struct{ Source, Hospital, From, To string }

func (c *Console) settlementsPage(g *gin.Context, found *Reconciliation, wrong string) {
	open, err := c.Settlements.Open(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	form := settlementsForm{g.PostForm("source"), g.PostForm("hospital"), g.PostForm("from"), g.PostForm("to")}
	if form.From == "" {
		form.From = time.Now().In(c.cfg.Zone).Format(time.DateOnly)
		form.To = form.From
	}
	c.render(g, "settlements", struct {
		web.Page
		Sources []string
		Form    settlementsForm
		Open    []OpenStep
		Found   *Reconciliation
		Wrong   string
	}{c.page("结算", settlementsURL), c.Settlements.Sources(), form, open, found, wrong})
}

func (c *Console) reconcileForm(g *gin.Context) {
	found, err := c.Settlements.Reconcile(g.Request.Context(), g.PostForm("source"), g.PostForm("hospital"), g.PostForm("from"), g.PostForm("to"))
	if err == nil {
		c.settlementsPage(g, found, "")
		return
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind == fault.Internal {
		c.fail(g, err)
		return
	}
	c.settlementsPage(g, nil, f.Msg)
}
