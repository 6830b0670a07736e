package replay

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/journal"
)

// hub keeps two messages that took effect and one dead letter.
type hub struct {
	pipeline.DeadLetters
	again, replayed []string
	appended        []*pipeline.Message
}

func (h *hub) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	h.appended = append(h.appended, m)
	return pipeline.Position{}, nil
}
func (h *hub) Again(_ context.Context, m *pipeline.Message, run string) error {
	h.again = append(h.again, m.ID)
	return nil
}
func (h *hub) Replay(_ context.Context, id string) error {
	h.replayed = append(h.replayed, id)
	return nil
}
func (h *hub) Get(_ context.Context, id string) (*pipeline.DeadLetter, error) {
	if id != "3" {
		return nil, fault.New(fault.NotFound, "no")
	}
	return &pipeline.DeadLetter{ID: id, Message: &pipeline.Message{ID: id, Source: "his", Kind: "his-visit", Key: "his|1", Body: []byte("raw")}}, nil
}
func (h *hub) Search(_ context.Context, q journal.Query) (*journal.Page, error) {
	p := &journal.Page{}
	for _, e := range []*journal.Entry{{ID: "3", Source: "his"}, {ID: "2", Source: "his", Fate: journal.Fate{Map: "adt@2"}}, {ID: "1", Source: "his", Fate: journal.Fate{Map: "adt@1"}}} {
		if q.Before == "" || e.ID < q.Before {
			p.Items = append(p.Items, e)
		}
	}
	if q.Before == "" { // two pages
		p.Items, p.Next = p.Items[:1], "3"
	}
	return p, nil
}
func (h *hub) Message(_ context.Context, id string) (*pipeline.Message, error) {
	return &pipeline.Message{ID: id}, nil
}

func replayer(t *testing.T) (*hub, *Replayer) {
	h := &hub{}
	return h, New(Parts{Queue: h, Journal: h, Letters: h, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.Fixed(time.Unix(1, 0)),
		Try: func(_ context.Context, m *pipeline.Message) error {
			if m.ID == "2" {
				return fault.New(fault.Invalid, "没有这个字典项")
			}
			return nil
		}})
}

func TestRun_ok(t *testing.T) {
	for name, c := range map[string]struct {
		req             Request
		again, replayed string
	}{
		"source":  {Request{Source: "his"}, "1 2", "3"},
		"map":     {Request{Map: "adt"}, "1 2", ""},
		"version": {Request{Map: "adt@2"}, "2", ""},
		"ids":     {Request{IDs: []string{"3", "1", "1"}}, "1", "3"},
		"limit":   {Request{Source: "his", Limit: 1}, "1", ""},
	} {
		h, r := replayer(t)
		rep, err := r.Run(t.Context(), c.req)
		if err != nil || strings.Join(h.again, " ") != c.again || strings.Join(h.replayed, " ") != c.replayed || rep.Good != len(h.again)+len(h.replayed) {
			t.Errorf("%s: %+v %v, again %q, replayed %q", name, rep, err, h.again, h.replayed)
		}
	}
}

func TestDryRunHasNoEffect(t *testing.T) {
	h, r := replayer(t)
	rep, err := r.Run(t.Context(), Request{Source: "his", DryRun: true})
	if err != nil || rep.Good != 2 || rep.Bad != 1 || !slices.Equal(rep.Failures, []Failure{{"2", "没有这个字典项"}}) || len(h.again)+len(h.replayed) != 0 {
		t.Errorf("%+v %v", rep, err)
	}
}

func TestRun_bad(t *testing.T) {
	_, r := replayer(t)
	for _, req := range []Request{{}, {Source: "x", Limit: -1}} {
		if _, err := r.Run(t.Context(), req); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", req, err)
		}
	}
}

func TestMend(t *testing.T) {
	h, r := replayer(t)
	id, err := r.Mend(t.Context(), "3", []byte("mended"))
	if err != nil || len(h.appended) != 1 {
		t.Fatal(err)
	}
	if m := h.appended[0]; m.ID != id || string(m.Body) != "mended" || m.Headers[pipeline.HeadCopyOf] != "3" || m.Key != "his|1" || m.Kind != "his-visit" {
		t.Errorf("%+v", m)
	}
	if _, err := r.Mend(t.Context(), "1", []byte("x")); !fault.Is(err, fault.NotFound) {
		t.Errorf("no letter: %v", err)
	}
}
