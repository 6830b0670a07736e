package feed

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Mount adds the routes of the feed.
//
//	GET  /region/key                 this hub's public key, PEM
//	GET  /region/feed?after=N        a signed page
//	GET  /region/feed/cursor?source= where another hub's feed stands here
//	POST /region/feed                a page pushed by another hub
//	POST /api/regions/{peer}/pull    on demand
//	POST /api/regions/{peer}/push
func (x *Exchange) Mount(r gin.IRouter) {
	r.GET("/region/key", func(c *gin.Context) { c.Data(http.StatusOK, "application/x-pem-file", x.source.signer.Public()) })
	r.GET("/region/feed", x.admit, x.getPage)
	r.GET("/region/feed/cursor", x.admit, x.getCursor)
	r.POST("/region/feed", x.admit, x.postPage)
	r.POST("/api/regions/:peer/pull", x.demand((*Exchange).pullNow))
	r.POST("/api/regions/:peer/push", x.demand((*Exchange).pushNow))
}

// admit lets peers in: by token, where tokens are configured.
func (x *Exchange) admit(c *gin.Context) {
	said := strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer ")
	wanted := false
	for _, p := range x.peers {
		if p.Token == "" {
			continue
		}
		if wanted = true; subtle.ConstantTimeCompare([]byte(said), []byte(p.Token)) == 1 {
			return
		}
	}
	if wanted || !x.Local {
		fail(c, fault.New(fault.Unauthorized, "没有权限：请在 Authorization 中给出平台之间约定的令牌"))
		c.Abort()
	}
}

func (x *Exchange) getPage(c *gin.Context) {
	after, err := strconv.ParseInt(c.DefaultQuery("after", "0"), 10, 64)
	if err != nil {
		fail(c, fault.New(fault.Invalid, "after 应为整数"))
		return
	}
	p, err := x.source.Page(c.Request.Context(), after)
	if err != nil {
		fail(c, err)
		return
	}
	c.JSON(http.StatusOK, p)
}

func (x *Exchange) getCursor(c *gin.Context) {
	p, err := x.peer(c.Query("source"))
	if err != nil {
		fail(c, err)
		return
	}
	next, err := x.taker.At(c.Request.Context(), p.Name)
	if err != nil {
		fail(c, err)
		return
	}
	c.JSON(http.StatusOK, place{p.Name, next})
}

func (x *Exchange) postPage(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, 2*maxPage))
	if err != nil {
		fail(c, fault.New(fault.TooCostly, "资源流的一页太大或中断"))
		return
	}
	var page Page
	if err := json.Unmarshal(body, &page); err != nil {
		fail(c, fault.New(fault.Invalid, "资源流的一页应为 JSON：%w", err))
		return
	}
	p, err := x.peer(page.Source)
	if err != nil {
		fail(c, err)
		return
	}
	n, err := x.taker.Take(c.Request.Context(), p.Verifier, &page)
	if err != nil {
		x.log.WarnContext(c, "feed page refused", "peer", p.Name, "fault", fault.KindOf(err).String())
		fail(c, err)
		return
	}
	c.JSON(http.StatusOK, taken{n, page.Next})
}

func (x *Exchange) pullNow(c *gin.Context, peer string) (Result, error) {
	return x.Pull(c.Request.Context(), peer)
}

func (x *Exchange) pushNow(c *gin.Context, peer string) (Result, error) {
	return x.Push(c.Request.Context(), peer)
}

func (x *Exchange) demand(do func(*Exchange, *gin.Context, string) (Result, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		r, err := do(x, c, c.Param("peer"))
		if err != nil {
			fail(c, err)
			return
		}
		c.JSON(http.StatusOK, r)
	}
}

// fail writes the OperationOutcome of err: see package outcome for the table.
func fail(c *gin.Context, err error) {
	c.Data(outcome.Status(err), "application/fhir+json; charset=utf-8", outcome.Of(err, outcome.Options{}))
}
