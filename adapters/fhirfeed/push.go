package fhirfeed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/trace"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// PushKind is the kind of the dead letters of a push: one version each.
const PushKind = "fhir-push"

// Repository is what a pusher needs of the store.
type Repository interface {
	store.Reader
	store.Feed
}

// PushParts is what a pusher needs of the hub.
type PushParts struct {
	Repository Repository
	Search     *search.Engine // decides the filters
	HTTP       *http.Client   // must know the hosts it may call
	Intake     *source.Intake
}

// Pusher sends the versions of chosen resources to one server, in order.
type Pusher struct {
	cfg    Push
	parts  PushParts
	client *client
}

// NewPusher returns a pusher. Errors: a filter that is no search. cfg must be
// valid.
func NewPusher(cfg Push, parts PushParts) (*Pusher, error) {
	p := &Pusher{cfg: cfg, parts: parts, client: &client{http: parts.HTTP, auth: cfg.Auth}}
	for typ, q := range cfg.Filter {
		if _, err := parts.Search.Search(context.Background(), memindex.New(), search.Request{Type: typ, Query: q, Count: 1}); err != nil {
			return nil, fault.New(fault.Invalid, "filter 的 %s?%s 无法使用：%w", typ, q, err)
		}
	}
	return p, nil
}

const (
	feedBytes   = 4 << 20     // of the feed read at once
	commitEvery = time.Second // of the place in the log while nothing is sent
)

// Follow sends what was committed from log offset from on, until ctx ends. commit
// keeps the place durably: it is called when the peer has answered for
// everything before. An error is of the store or of commit.
func (p *Pusher) Follow(ctx context.Context, from int64, commit func(next int64) error) error {
	err := p.follow(ctx, from, commit)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *Pusher) follow(ctx context.Context, from int64, commit func(next int64) error) error {
	if from == 0 && p.cfg.From == Now {
		snap, err := p.parts.Repository.Snapshot(ctx, 0)
		if err != nil {
			return err
		}
		from = snap.Offset() + 1
		if err := errors.Join(snap.Close(), commit(from)); err != nil {
			return err
		}
	}
	seq, err := p.parts.Repository.FirstSeq(ctx, from)
	if err != nil {
		return err
	}
	place := progress{next: from, commit: commit}
	for {
		changes, through, err := p.read(ctx, seq)
		if err != nil {
			return err
		}
		for len(changes) > 0 {
			n := together(changes, p.cfg.Batch)
			sent, err := p.deliver(ctx, changes[:n])
			if err != nil {
				return err
			}
			last := changes[n-1]
			seq = last.Seq + 1
			if err := place.reach(last.Offset+1, sent); err != nil {
				return err
			}
			changes = changes[n:]
		}
		if err := p.backlog(ctx, seq); err != nil {
			return err
		}
		if err := place.reach(through+1, false); err != nil {
			return err
		}
	}
}

// progress keeps the place in the log: at once when something was sent, else now
// and then.
type progress struct {
	next   int64
	at     time.Time
	commit func(next int64) error
}

func (g *progress) reach(next int64, sent bool) error {
	if next <= g.next || !sent && time.Since(g.at) < commitEvery {
		return nil
	}
	g.next, g.at = next, time.Now()
	return g.commit(next)
}

// read returns changes of whole transactions.
func (p *Pusher) read(ctx context.Context, seq int64) (all []store.Change, through int64, err error) {
	for {
		list, upTo, err := p.parts.Repository.Changes(ctx, seq, feedBytes)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, list...)
		if len(all) == 0 || all[len(all)-1].Offset <= upTo {
			return all, upTo, nil
		}
		seq = all[len(all)-1].Seq + 1
	}
}

// together tells how many of the changes go into one transaction: whole ones of
// the hub, as many as limit allows, and no resource twice.
func together(changes []store.Change, limit int) (n int) {
	seen := map[string]bool{}
	for end := 0; end < len(changes); {
		begin := end
		for end < len(changes) && changes[end].Offset == changes[begin].Offset {
			end++
		}
		if n > 0 && (end > limit || slices.ContainsFunc(changes[begin:end], func(c store.Change) bool { return seen[c.Type+"/"+c.ID] })) {
			return n
		}
		for _, c := range changes[begin:end] {
			seen[c.Type+"/"+c.ID] = true
		}
		n = end
	}
	return n
}

// deliver sends the chosen among the changes; sent tells whether there were any.
func (p *Pusher) deliver(ctx context.Context, changes []store.Change) (sent bool, err error) {
	snap, err := p.parts.Repository.Snapshot(ctx, 0)
	if err != nil {
		return false, err
	}
	var list []outgoing
	for _, c := range changes {
		o, ok, err := p.choose(ctx, snap, c)
		if err != nil {
			return false, errors.Join(err, snap.Close())
		}
		if ok {
			list = append(list, o)
		}
	}
	if err := errors.Join(p.resolve(snap, list), snap.Close()); err != nil || len(list) == 0 {
		return false, err
	}
	return true, p.send(ctx, list)
}

// choose decides whether a change goes out.
func (p *Pusher) choose(ctx context.Context, snap store.Snapshot, c store.Change) (o outgoing, ok bool, err error) {
	if !slices.Contains(p.cfg.Types, c.Type) || c.Deleted() && !p.cfg.Deletes {
		return o, false, nil
	}
	o = outgoing{Change: c, content: c.Resource}
	if c.Deleted() { // what the peer knows is its last content
		v, err := snap.VRead(c.Type, c.ID, c.Version.Version-1)
		switch {
		case err == nil:
			o.content = v.Resource
		case !fault.Is(err, fault.Gone) && !fault.Is(err, fault.NotFound): // these: compacted away
			return o, false, err
		}
	}
	if ok, err = p.matches(ctx, o); err != nil || !ok {
		return o, false, err
	}
	o.identifier, err = p.identifier(o.content)
	return o, err == nil, err
}

// matches reports whether a resource fulfils the filter of its type.
func (p *Pusher) matches(ctx context.Context, o outgoing) (bool, error) {
	q := p.cfg.Filter[o.Type]
	if q == "" || o.content == nil {
		return true, nil
	}
	index := memindex.New()
	if err := index.Add(p.parts.Search, o.content); err != nil {
		return false, err
	}
	index.Sort()
	page, err := p.parts.Search.Search(ctx, index, search.Request{Type: o.Type, Query: q, Count: 1, Now: o.LastUpdated})
	return err == nil && len(page.Matches) > 0, err
}

// send gives a transaction to the peer. One that it refuses is halved until the
// resource it cannot take is found: that one goes to the dead letters, the
// others on. An error is of ctx.
func (p *Pusher) send(ctx context.Context, list []outgoing) error {
	err := p.insist(ctx, list)
	var no *refusal
	switch {
	case err == nil:
		p.parts.Intake.Sent(len(list))
		return nil
	case !errors.As(err, &no):
		return err
	case len(list) == 1:
		return p.letter(ctx, list[0], no)
	}
	half := len(list) / 2
	if err := p.send(ctx, list[:half]); err != nil {
		return err
	}
	return p.send(ctx, list[half:])
}

// insist sends until the peer takes or refuses the list, with growing pauses
// while it is away. Errors: *refusal, or of ctx.
func (p *Pusher) insist(ctx context.Context, list []outgoing) error {
	body := p.encode(list)
	key := p.key(list[0].Seq, body)
	for pause := p.cfg.First; ; pause = min(2*pause, p.cfg.Longest) {
		if err := p.awaitTurn(ctx, list[0].Seq); err != nil {
			return err
		}
		err := p.post(ctx, body, key)
		var no *refusal
		if err == nil || errors.As(err, &no) {
			p.parts.Intake.Fine(source.Unreachable)
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.parts.Intake.Log().Warn("push failed, trying again", "error", err)
		p.parts.Intake.Trouble(source.Unreachable, fault.Sentence(err))
		if err := rest(ctx, max(pause, retryAfter(err))); err != nil {
			return err
		}
	}
}

// key names a transaction: sent again, after an answer that was lost or a
// restart, it has no second effect on a peer that heeds Idempotency-Key.
func (p *Pusher) key(seq int64, body []byte) string {
	sum := sha256.Sum256(body)
	return p.parts.Intake.Name + "-" + strconv.FormatInt(seq, 10) + "-" + hex.EncodeToString(sum[:16])
}

// post sends a transaction; key may be "".
func (p *Pusher) post(ctx context.Context, body []byte, key string) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	header := map[string]string{"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
	if key != "" {
		header["Idempotency-Key"] = key
	}
	res, answer, err := p.client.exchange(ctx, http.MethodPost, p.cfg.base(), header, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return answered(res, answer)
}

// backlog tells the desk how many versions wait, from a change on.
func (p *Pusher) backlog(ctx context.Context, seq int64) error {
	snap, err := p.parts.Repository.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	for c, err := range snap.History(store.HistoryQuery{Limit: 1}) {
		if err != nil {
			return errors.Join(err, snap.Close())
		}
		p.parts.Intake.Backlog(c.Seq - seq + 1)
	}
	return snap.Close()
}

const turnEvery = 500 * time.Millisecond

// awaitTurn waits while the source is paused or outside its hours.
func (p *Pusher) awaitTurn(ctx context.Context, seq int64) error {
	for {
		if err := p.backlog(ctx, seq); err != nil {
			return err
		}
		if !p.parts.Intake.Held() {
			return ctx.Err()
		}
		if err := rest(ctx, turnEvery); err != nil {
			return err
		}
	}
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The headers of a letter: which resource it is about.
const (
	headType = "type"
	headID   = "id"
)

// letter keeps a version that the peer refused, with the peer's reason. The same
// version is the same letter however often it comes.
func (p *Pusher) letter(ctx context.Context, o outgoing, no *refusal) error {
	m := p.parts.Intake.Message(PushKind, o.Type+"/"+o.ID, "application/fhir+json", "", o.content)
	m.ID = pipeline.IDOf(o.LastUpdated, m.Source, o.Type, o.ID, strconv.FormatInt(o.Version.Version, 10))
	m.Headers[headType], m.Headers[headID] = o.Type, o.ID
	for ctx.Err() == nil {
		if err := p.parts.Intake.Refuse(ctx, m, no.fault()); !fault.Is(err, fault.Unavailable) {
			return nil
		}
		if err := rest(ctx, p.cfg.Longest); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// again sends the present version of the resource that a letter is about: what
// the hub holds is the truth, and may have been mended meanwhile.
func (p *Pusher) again(ctx context.Context, m *pipeline.Message) error {
	typ, id := m.Headers[headType], m.Headers[headID]
	snap, err := p.parts.Repository.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	for c, err := range snap.History(store.HistoryQuery{Type: typ, ID: id, Limit: 1}) {
		if err != nil {
			return err
		}
		o, ok, err := p.choose(ctx, snap, c)
		if err != nil || !ok { // it is not for the peer any more
			return err
		}
		list := []outgoing{o}
		if err := p.resolve(snap, list); err != nil {
			return err
		}
		return later(p.post(ctx, p.encode(list), ""), p.cfg.Longest)
	}
	return fault.New(fault.NotFound, "资源库里没有 %s/%s", typ, id)
}

// later makes of a sending's error what a sink says: refused, or wait aside.
func later(err error, pause time.Duration) error {
	var no *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		return no.fault()
	}
	return &pipeline.Later{After: max(pause, retryAfter(err)), Cause: err}
}

// PushSink replays the dead letters of pushers, by source. It is a
// [pipeline.Sink].
type PushSink map[string]*Pusher

// Handle implements pipeline.Sink.
func (s PushSink) Handle(ctx context.Context, m *pipeline.Message) error {
	p := s[m.Source]
	switch {
	case p == nil:
		return fault.New(fault.Unsupported, "配置里已没有推送 %.60s", m.Source)
	case trace.Planned(ctx):
		return nil
	}
	return p.again(ctx, m)
}
