package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Doer sends HTTP requests; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Peer is another hub.
type Peer struct {
	Name     string // as in its pages
	Base     string // address, without a path; "" = it only calls us
	Token    string // Authorization: Bearer … both ways; "" = none
	Verifier *Verifier
}

// Result of an exchange.
type Result struct {
	Peer    string `json:"peer"`
	Pages   int    `json:"pages"`
	Entries int    `json:"entries"`
	Next    int64  `json:"next"`
}

// Exchange pulls and pushes the feeds of this hub and its peers. Safe for
// concurrent use; one exchange with a peer runs at a time.
type Exchange struct {
	Local bool // only this machine reaches the hub: callers need no token where no peer has one; set before Mount

	source *Source
	taker  *Taker
	client Doer
	log    *slog.Logger
	peers  map[string]*Peer
	busy   map[string]*sync.Mutex
}

// NewExchange returns an exchange with peers.
func NewExchange(s *Source, t *Taker, client Doer, log *slog.Logger, peers []Peer) *Exchange {
	x := &Exchange{source: s, taker: t, client: client, log: log, peers: map[string]*Peer{}, busy: map[string]*sync.Mutex{}}
	for i := range peers {
		x.peers[peers[i].Name], x.busy[peers[i].Name] = &peers[i], &sync.Mutex{}
	}
	return x
}

func (x *Exchange) peer(name string) (*Peer, error) {
	p := x.peers[name]
	if p == nil {
		return nil, fault.New(fault.NotFound, "没有配置平台 %.40q", name)
	}
	return p, nil
}

func (x *Exchange) reachable(name string) (*Peer, error) {
	p, err := x.peer(name)
	if err == nil && p.Base == "" {
		err = fault.New(fault.Unsupported, "平台 %s 没有配置 base，只能由它来取", name)
	}
	return p, err
}

// Pull takes in everything a peer has that is not here yet, page by page.
func (x *Exchange) Pull(ctx context.Context, name string) (Result, error) {
	r := Result{Peer: name}
	p, err := x.reachable(name)
	if err != nil {
		return r, err
	}
	x.busy[name].Lock()
	defer x.busy[name].Unlock()
	if r.Next, err = x.taker.At(ctx, name); err != nil {
		return r, err
	}
	for {
		var page Page
		if err := x.call(ctx, p, http.MethodGet, "/region/feed?after="+strconv.FormatInt(r.Next, 10), nil, &page); err != nil {
			return r, err
		}
		if page.Source != name {
			return r, refuse(fault.Forbidden, "资源流自称来自 "+quote(page.Source)+"，不是 "+name, "the feed names another hub")
		}
		if page.From != r.Next {
			return r, refuse(fault.Invalid, "对方没有从所要的位置开始", "the feed does not start where asked")
		}
		n, err := x.taker.Take(ctx, p.Verifier, &page)
		if err != nil {
			return r, err
		}
		r.Entries, r.Next = r.Entries+n, page.Next
		r.Pages++
		if !page.More {
			return r, nil
		}
	}
}

// Push sends a peer everything of this hub that it has not taken in yet.
func (x *Exchange) Push(ctx context.Context, name string) (Result, error) {
	r := Result{Peer: name}
	p, err := x.reachable(name)
	if err != nil {
		return r, err
	}
	x.busy[name].Lock()
	defer x.busy[name].Unlock()
	var at place
	if err := x.call(ctx, p, http.MethodGet, "/region/feed/cursor?source="+url.QueryEscape(x.source.name), nil, &at); err != nil {
		return r, err
	}
	for r.Next = at.Next; ; {
		page, err := x.source.Page(ctx, r.Next)
		if err != nil {
			return r, err
		}
		var taken taken
		if err := x.call(ctx, p, http.MethodPost, "/region/feed", page, &taken); err != nil {
			return r, err
		}
		r.Entries, r.Next = r.Entries+taken.Entries, page.Next
		r.Pages++
		if !page.More {
			return r, nil
		}
	}
}

// place is where a feed stands at its receiver.
type place struct {
	Source string `json:"source"`
	Next   int64  `json:"next"`
}

// taken is the answer to a page.
type taken struct {
	Entries int   `json:"entries"`
	Next    int64 `json:"next"`
}

// call sends JSON and reads JSON. The peer's refusals keep their kind.
func (x *Exchange) call(ctx context.Context, p *Peer, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(p.Base, "/")+path, body)
	if err != nil {
		return fault.New(fault.Invalid, "平台 %s 的地址不是有效的 URL：%w", p.Name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	res, err := x.client.Do(req)
	if fault.Is(err, fault.Forbidden) {
		return err
	}
	if err != nil {
		return fault.New(fault.Unavailable, "平台 %s 不通：%w", p.Name, err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, 2*maxPage))
	if err != nil {
		return fault.New(fault.Unavailable, "平台 %s 的应答中断：%w", p.Name, err)
	}
	if res.StatusCode != http.StatusOK {
		return fault.New(kinds[res.StatusCode], "平台 %s 拒绝（HTTP %d）：%s", p.Name, res.StatusCode, said(reply))
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return fault.New(fault.Unavailable, "平台 %s 的应答不是 JSON：%w", p.Name, err)
	}
	return nil
}

// kinds are the statuses of a refusal that say whose mistake it is; others mean
// that the peer is not well.
var kinds = map[int]fault.Kind{400: fault.Invalid, 401: fault.Unauthorized, 403: fault.Forbidden, 404: fault.NotFound, 409: fault.Conflict, 410: fault.Gone,
	412: fault.Precondition, 422: fault.Invalid, 429: fault.Busy, 500: fault.Unavailable, 502: fault.Unavailable, 503: fault.Unavailable}

// said is the sentence in an OperationOutcome, shortened.
func said(reply []byte) string {
	var o struct {
		Issue []struct {
			Details struct{ Text string }
		}
	}
	if json.Unmarshal(reply, &o) == nil && len(o.Issue) > 0 {
		return fmt.Sprintf("%.200s", o.Issue[0].Details.Text)
	}
	return "没有说明原因"
}
