package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/subscribe"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// Subscriptions tells of subscriptions and repairs them; satisfied by
// *subscribe.Service.
type Subscriptions interface {
	List() []subscribe.Info
	Topics() []subscribe.Topic
	Retry(id string) error
	Resend(ctx context.Context, id string, from int64) error
}

const subscriptionsURL = "/console/subscriptions"

func (c *Console) mountSubscriptions(p gin.IRouter) {
	if c.Subscriptions == nil {
		return
	}
	p.GET(subscriptionsURL, c.subscriptionsPage)
	p.GET(subscriptionsURL+"/list", func(g *gin.Context) { c.render(g, "sublist", c.subscriptionRows()) })
	p.POST(subscriptionsURL+"/:id/retry", sameOrigin, c.retrySubscription)
	p.POST(subscriptionsURL+"/:id/resend", sameOrigin, c.resendSubscription)
}

// subscriptionRow is one subscription as the page shows it.
type subscriptionRow struct {
	subscribe.Info
	What, State, Class string
	Waiting, From      int64 // events not delivered; number to send again from
}

// subscriptionStates are the states in Chinese with their style.
var subscriptionStates = map[subscribe.Status][2]string{subscribe.Requested: {"等待握手", "warn"}, subscribe.Active: {"正常", ""}, subscribe.Failing: {"送不到，重试中", "bad"}, subscribe.Off: {"已停用", "warn"}}

func (c *Console) subscriptionRows() []subscriptionRow {
	titles := map[string]string{}
	for _, t := range c.Subscriptions.Topics() {
		titles[t.URL] = t.Title
	}
	var out []subscriptionRow
	for _, i := range c.Subscriptions.List() {
		state := subscriptionStates[i.Status]
		r := subscriptionRow{Info: i, State: state[0], Class: state[1], Waiting: i.Events - i.Delivered, From: max(i.Delivered, 1), What: i.Criteria}
		if i.Topic != "" {
			if r.What = titles[i.Topic]; r.What == "" {
				r.What = i.Topic[strings.LastIndexByte(i.Topic, '/')+1:]
			}
		}
		out = append(out, r)
	}
	return out
}

func (c *Console) subscriptionsPage(g *gin.Context) {
	c.render(g, "subscriptions", struct {
		web.Page
		Rows   []subscriptionRow
		Topics []subscribe.Topic
	}{c.page("订阅", subscriptionsURL), c.subscriptionRows(), c.Subscriptions.Topics()})
}

func (c *Console) retrySubscription(g *gin.Context) {
	if err := c.Subscriptions.Retry(g.Param("id")); err != nil {
		c.refuse(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, subscriptionsURL)
}

func (c *Console) resendSubscription(g *gin.Context) {
	from, err := strconv.ParseInt(g.PostForm("from"), 10, 64)
	if err != nil || from < 1 {
		c.refuse(g, fault.New(fault.Invalid, "起始编号应为正整数"))
		return
	}
	if err := c.Subscriptions.Resend(g.Request.Context(), g.Param("id"), from); err != nil {
		c.refuse(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, subscriptionsURL)
}
