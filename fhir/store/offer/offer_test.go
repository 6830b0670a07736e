package offer_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/offer"
	"github.com/qihuang-health/qihuang/internal/clock"
)

type node struct {
	t      *testing.T
	store  *memory.Store
	engine *search.Engine
	keeper offer.Keeper
}

// start runs a node on log until the test ends.
func start(t *testing.T, log store.Log) *node {
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, engine: search.NewEngine(model, fhirpath.NewEngine(model))}
	n.store, err = memory.New(machine.Config{Log: log, Indexer: n.engine, Extend: func(r [][]byte) (store.Indexer, []search.Owned, error) {
		return n.engine.Extend(r)
	}})
	if err != nil {
		t.Fatal(err)
	}
	work := jobs.New(jobs.Default(), clock.System{}, uuid.NewString)
	n.keeper.Use(offer.Parts{Store: n.store, Model: model, Jobs: work, Log: slog.New(slog.DiscardHandler),
		Check: func(r [][]byte) error { _, _, err := n.engine.Extend(r); return err },
		Count: func(context.Context, string) int { return 2 }})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.store.Run(ctx) })
	wg.Go(func() { _ = n.keeper.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait(); work.Close() })
	return n
}

func (n *node) put(typ, id, body string) {
	n.t.Helper()
	if _, err := n.store.Commit(context.Background(), &store.Transaction{ID: uuid.NewString(), Ops: []store.Op{{Method: store.Update, Type: typ, ID: id,
		Resource: []byte(`{"resourceType":"` + typ + `","id":"` + id + `"` + body + `}`)}}}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) find(query string) string {
	n.t.Helper()
	snap, err := n.store.Snapshot(context.Background(), 0)
	if err != nil {
		n.t.Fatal(err)
	}
	defer snap.Close()
	page, err := n.engine.Search(context.Background(), snap.Index(), search.Request{Type: "Patient", Query: query})
	if err != nil {
		return "refused"
	}
	var ids []string
	for _, m := range page.Matches {
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, " ")
}

// until waits for the next record, or a moment, until ok.
func (n *node) until(what string, ok func() bool) {
	n.t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		if snap, err := n.store.Snapshot(ctx, n.store.Applied()+1); err == nil {
			snap.Close()
		}
		cancel()
	}
	n.t.Fatalf("%s: %+v", what, n.keeper.List())
}

func (n *node) status(id string) string {
	for _, p := range n.keeper.List() {
		if p.ID == id {
			return string(p.Status)
		}
	}
	return ""
}

const shoe = `,"url":"http://x/shoe","name":"shoe","status":"%s","description":"d","code":"shoe","base":["Patient"],"type":"token","expression":"Patient.extension.where(url='%s').value"`

// A parameter is offered when it is built, again after a change, not after it is
// retired, and a second node that reads the log offers the same.
func TestKeeper(t *testing.T) {
	log := &memory.Log{}
	n := start(t, log)
	n.put("Patient", "a", `,"extension":[{"url":"http://x/size","valueCode":"42"}]`)
	n.put("Patient", "b", `,"extension":[{"url":"http://x/width","valueCode":"42"}]`)
	if got := n.find("shoe=42"); got != "refused" {
		t.Fatalf("before: %q", got)
	}
	n.put("SearchParameter", "shoe", fmt.Sprintf(shoe, "active", "http://x/size"))
	n.until("offered", func() bool { return n.find("shoe=42") == "a" })
	n.until("listed", func() bool { return n.status("shoe") == "offered" })
	n.put("SearchParameter", "shoe", fmt.Sprintf(shoe, "active", "http://x/width"))
	n.until("changed", func() bool { return n.find("shoe=42") == "b" })

	other := start(t, log)
	other.until("second node", func() bool { return other.find("shoe=42") == "b" })

	n.put("SearchParameter", "shoe", fmt.Sprintf(shoe, "retired", "http://x/width"))
	n.until("retired", func() bool { return n.find("shoe=42") == "refused" })
	n.put("SearchParameter", "clash", strings.Replace(fmt.Sprintf(shoe, "active", "http://x/size"), `"shoe","base"`, `"gender","base"`, 1))
	n.put("SearchParameter", "broken", strings.Replace(fmt.Sprintf(shoe, "active", "http://x/size"), ").value", ".value", 1))
	n.put("SearchParameter", "shoe", fmt.Sprintf(shoe, "active", "http://x/size"))
	n.until("beside those that cannot be used", func() bool { return n.find("shoe=42") == "a" })
	for id, want := range map[string]string{"clash": "refused", "broken": "refused"} {
		if got := n.status(id); got != want {
			t.Errorf("%s is %s", id, got)
		}
	}
}

const mark = `,"url":"http://x/%s","name":"%[1]s","status":"active","description":"d","code":"%[1]s","base":["Patient"],"type":"%s","expression":"%s"`

// An added string is found by pinyin as names are, and a composite may be made
// of a parameter that was added beside it, whatever their ids; it goes when its
// part goes.
func TestAddedTogether(t *testing.T) {
	n := start(t, &memory.Log{})
	n.put("Patient", "p1", `,"contact":[{"relationship":[{"text":"茯苓"}]}],"communication":[{"language":{"text":"川芎"},"preferred":true},{"language":{"text":"白芍"},"preferred":false}]`)
	n.put("SearchParameter", "a-pair", fmt.Sprintf(mark, "pair", "composite", "Patient.communication")+
		`,"component":[{"definition":"http://x/spoken","expression":"language.text"},{"definition":"http://x/liked","expression":"preferred"}]`)
	n.put("SearchParameter", "b", fmt.Sprintf(mark, "spoken", "string", "Patient.communication.language.text"))
	n.put("SearchParameter", "c", fmt.Sprintf(mark, "liked", "token", "Patient.communication.preferred"))
	n.put("SearchParameter", "d", fmt.Sprintf(mark, "kin", "string", "Patient.contact.relationship.text"))
	n.until("all offered", func() bool {
		return n.status("a-pair") == "offered" && n.status("b") == "offered" && n.status("c") == "offered" && n.status("d") == "offered"
	})
	for query, want := range map[string]string{"kin=茯": "p1", "kin=fuling": "p1", "kin=fl": "p1", "kin=ling": "", "pair=川芎$true": "p1", "pair=川芎$false": "", "pair=白芍$false": "p1"} {
		if got := n.find(query); got != want {
			t.Errorf("%s finds %q, wanted %q", query, got, want)
		}
	}
	if _, err := n.store.Commit(context.Background(), &store.Transaction{ID: uuid.NewString(), Ops: []store.Op{{Method: store.Delete, Type: "SearchParameter", ID: "c"}}}); err != nil {
		t.Fatal(err)
	}
	n.until("the composite refused without its part", func() bool { return n.status("a-pair") == "refused" && n.status("b") == "offered" })
	n.until("no answer from it", func() bool { return n.find("pair=川芎$true") == "refused" })
}
