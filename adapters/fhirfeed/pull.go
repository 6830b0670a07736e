package fhirfeed

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// Kind is the kind of the messages this package makes.
const Kind = source.KindFHIR

// Puller fetches from one server.
type Puller struct {
	cfg    Pull
	client *client
	intake *source.Intake
	state  *source.State
}

// NewPuller returns a puller; http must know the hosts it may call. cfg must be
// valid.
func NewPuller(cfg Pull, http *http.Client, intake *source.Intake, state *source.State) *Puller {
	return &Puller{cfg: cfg, client: &client{http: http, auth: cfg.Auth}, intake: intake, state: state}
}

// Run pulls until ctx ends.
func (p *Puller) Run(ctx context.Context) error {
	return p.intake.Every(ctx, p.cfg.Interval, func(ctx context.Context) {
		if err := p.Round(ctx); err != nil && ctx.Err() == nil {
			p.intake.Log().Warn("pull failed", "error", err)
			p.intake.Trouble(source.Unreachable, fault.Sentence(err))
			return
		}
		p.intake.Fine(source.Unreachable)
	})
}

// Round pulls once what is new.
func (p *Puller) Round(ctx context.Context) error {
	if p.cfg.Bulk {
		return p.bulk(ctx)
	}
	for _, typ := range p.cfg.Types {
		if err := p.search(ctx, typ); err != nil {
			return err
		}
	}
	return nil
}

// The state: per type the time up to which it was seen, and the versions seen
// within the overlap before it.
func sinceKey(typ string) string { return "since:" + typ }
func edgeKey(typ string) string  { return "edge:" + typ }

// search follows the pages of one type's changes. The watermark moves when a
// page is in the log, so an interruption costs at most one page again.
func (p *Puller) search(ctx context.Context, typ string) error {
	since := p.state.Get(sinceKey(typ))
	q := url.Values{"_sort": {"_lastUpdated"}, "_count": {strconv.Itoa(p.cfg.Count)}}
	if at, err := time.Parse(time.RFC3339Nano, since); err == nil {
		q.Set("_lastUpdated", "ge"+at.Add(-p.cfg.Overlap).Format(time.RFC3339Nano))
	}
	more, err := url.ParseQuery(p.cfg.Query)
	if err != nil {
		return fault.New(fault.Invalid, "query 无法识别")
	}
	for k, v := range more {
		q[k] = v
	}
	edge := p.edge(typ)
	for next := p.cfg.base() + "/" + typ + "?" + q.Encode(); next != ""; {
		res, body, err := p.client.get(ctx, next, nil)
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return failed(res, "查询 "+typ)
		}
		tree, err := fhir.Parse(body)
		if err != nil || tree.Root().ResourceType() != "Bundle" {
			return fault.New(fault.Invalid, "对方对 %s 查询的应答不是 Bundle", typ)
		}
		if err := p.page(ctx, typ, tree.Root(), edge); err != nil {
			return err
		}
		if next, err = p.next(res.Request.URL, tree.Root()); err != nil {
			return err
		}
	}
	return nil
}

// page appends what is new on a page and moves the watermark.
func (p *Puller) page(ctx context.Context, typ string, root fhir.Node, edge map[string]string) error {
	var fresh []fhir.Node
	for e := range root.Get("entry").Children() {
		res := e.Get("resource")
		if res.ResourceType() == "OperationOutcome" || !res.Exists() {
			continue
		}
		key := res.ResourceType() + "/" + res.Get("id").Str() + "/" + res.Path("meta", "versionId").Str()
		if _, seen := edge[key]; seen {
			continue
		}
		edge[key] = res.Path("meta", "lastUpdated").Str()
		fresh = append(fresh, res)
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := p.append(ctx, fresh); err != nil {
		return err
	}
	return p.remember(typ, edge)
}

// append makes one message of resources.
func (p *Puller) append(ctx context.Context, resources []fhir.Node) error {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for i, r := range resources {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"resource":`)
		b.Write(r.Raw())
		b.WriteByte('}')
	}
	b.WriteString("]}")
	m := p.intake.Message(Kind, "", "application/fhir+json", "", b.Bytes())
	m.Headers[HeadIDs], m.Headers["base"] = string(p.cfg.IDs), p.cfg.base()
	return p.intake.Insist(ctx, m)
}

// remember moves the watermark to the latest change seen, and forgets versions
// that lie before the overlap.
func (p *Puller) remember(typ string, edge map[string]string) error {
	var latest time.Time
	for _, at := range edge {
		if t, err := time.Parse(time.RFC3339Nano, at); err == nil && t.After(latest) {
			latest = t
		}
	}
	if latest.IsZero() {
		return nil // a server without meta.lastUpdated: everything comes again, without effect
	}
	var keep []string
	for key, at := range edge {
		if t, err := time.Parse(time.RFC3339Nano, at); err == nil && !t.Before(latest.Add(-p.cfg.Overlap)) {
			keep = append(keep, key+"@"+at)
		}
	}
	if err := p.state.Set(edgeKey(typ), strings.Join(keep, " ")); err != nil {
		return err
	}
	return p.state.Set(sinceKey(typ), latest.UTC().Format(time.RFC3339Nano))
}

func (p *Puller) edge(typ string) map[string]string {
	out := map[string]string{}
	for _, s := range strings.Fields(p.state.Get(edgeKey(typ))) {
		if key, at, ok := strings.Cut(s, "@"); ok {
			out[key] = at
		}
	}
	return out
}

// next is the next page's address, which must be on the same server.
func (p *Puller) next(at *url.URL, root fhir.Node) (string, error) {
	for l := range root.Get("link").Children() {
		if l.Get("relation").Str() != "next" {
			continue
		}
		u, err := at.Parse(l.Get("url").Str())
		if err != nil || u.Host != at.Host {
			return "", fault.New(fault.Invalid, "对方的翻页地址不在同一台服务器上")
		}
		return u.String(), nil
	}
	return "", nil
}
