package feed

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Taker takes pages of other hubs in. Safe for concurrent use.
type Taker struct {
	store store.Store
	clock clock.Clock
}

// NewTaker returns a taker that writes to st.
func NewTaker(st store.Store, c clock.Clock) *Taker { return &Taker{st, c} }

// cursor is where the pages of a hub stand, a Basic resource.
type cursor struct {
	next    int64
	version int64
}

func cursorID(source string) string { return tcm.ID("cursor", "region", source) }

// At returns the number after which the pages of a hub go on.
func (t *Taker) At(ctx context.Context, source string) (int64, error) {
	c, err := t.at(ctx, source)
	return c.next, err
}

func (t *Taker) at(ctx context.Context, source string) (cursor, error) {
	snap, err := t.store.Snapshot(ctx, 0)
	if err != nil {
		return cursor{}, err
	}
	defer snap.Close()
	n, version, err := store.Current(snap, "Basic", cursorID(source))
	if err != nil || version == 0 {
		return cursor{}, err
	}
	next, err := strconv.ParseInt(n.Path("extension", "valueString").Str(), 10, 64)
	return cursor{next, version}, err
}

// basic is the cursor's resource.
type basic struct {
	Type       string      `json:"resourceType"`
	ID         string      `json:"id"`
	Extension  []extension `json:"extension"`
	Identifier []ident     `json:"identifier"`
	Code       concept     `json:"code"`
}

type (
	extension struct {
		URL   string `json:"url"`
		Value string `json:"valueString"`
	}
	ident struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	concept struct {
		Coding []code `json:"coding"`
	}
	code struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
)

func cursorResource(source string, next int64) []byte {
	b, _ := json.Marshal(basic{"Basic", cursorID(source), []extension{{tcm.Base + "/StructureDefinition/feed-cursor", strconv.FormatInt(next, 10)}},
		[]ident{{tcm.Base + "/sid/region", source}}, concept{[]code{{SystemOrigin, "feed-cursor"}}}}) // strings only
	return b
}

// Take checks a page and takes it in, with the new place of its feed, in one
// transaction. It returns how many entries there were. A page before that place
// changes nothing; one beyond it is fault.Precondition: pages are missing.
func (t *Taker) Take(ctx context.Context, v *Verifier, p *Page) (int, error) {
	list, err := p.Open(v)
	if err != nil {
		return 0, err
	}
	at, err := t.at(ctx, p.Source)
	switch {
	case err != nil:
		return 0, err
	case p.Next <= at.next && (p.Next < at.next || len(list) > 0):
		return 0, nil // taken before
	case p.From > at.next:
		return 0, fault.New(fault.Precondition, "资源流缺页：应从 %d 开始，收到的从 %d 开始", at.next, p.From)
	case p.Next == at.next:
		return 0, nil
	}
	ops := make([]store.Op, 0, len(list)+1)
	for i := range list {
		if list[i].Seq > at.next {
			op, err := list[i].op(p.Source)
			if err != nil {
				return 0, err
			}
			ops = append(ops, op)
		}
	}
	ops = append(last(ops), store.Op{Method: store.Update, Type: "Basic", ID: cursorID(p.Source), Resource: cursorResource(p.Source, p.Next),
		IfMatch: at.version, IfNoneMatch: at.version == 0})
	_, err = t.store.Commit(ctx, &store.Transaction{ID: uuid.NewString(), Actor: "region:" + p.Source, Time: t.clock.Now().UTC().Truncate(time.Millisecond), Ops: ops})
	if fault.Is(err, fault.Precondition) || fault.Is(err, fault.Conflict) {
		return 0, fault.New(fault.Busy, "同一来源的资源流正在另一处接收：%w", err)
	}
	return len(ops) - 1, err
}

// last keeps the newest op of each resource: a transaction writes each once.
func last(ops []store.Op) []store.Op {
	newest := map[string]int{}
	for i, op := range ops {
		newest[op.Type+"/"+op.ID] = i
	}
	out := ops[:0]
	for i, op := range ops {
		if newest[op.Type+"/"+op.ID] == i {
			out = append(out, op)
		}
	}
	return out
}

// op makes the write of an entry. What is newer here stays.
func (e *Entry) op(source string) (store.Op, error) {
	if e.Deleted {
		return store.Op{Method: store.Delete, Type: e.Type, ID: e.ID}, nil
	}
	body, err := tagged(e.Resource, source)
	return store.Op{Method: store.Update, Type: e.Type, ID: e.ID, SkipSame: true, IfNewer: e.At.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), Resource: body}, err
}

// tagged names the hub a resource came from in meta.tag.
func tagged(resource []byte, source string) ([]byte, error) {
	tree, err := fhir.Parse(resource)
	if err != nil {
		return nil, err
	}
	tag, _ := json.Marshal(code{SystemOrigin, source}) // strings only
	meta := tree.Root().Get("meta")
	switch tags := meta.Get("tag"); {
	case !meta.Exists():
		return fhir.Splice(resource, fhir.SetMember(tree.Root(), "meta", append(append([]byte(`{"tag":[`), tag...), "]}"...))), nil
	case tags.Exists():
		return fhir.Splice(resource, fhir.InsertItem(tags, tags.Len(), tag)), nil
	}
	return fhir.Splice(resource, fhir.SetMember(meta, "tag", append(append([]byte{'['}, tag...), ']'))), nil
}
