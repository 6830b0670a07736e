package machine

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store/stamp"
	"github.com/qihuang-health/qihuang/internal/clock"
)

func indexed(t testing.TB) *Machine {
	t.Helper()
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	m := &Machine{cfg: Config{Indexer: search.NewEngine(model, fhirpath.NewEngine(model))}.Defaults()}
	m.parsers.New = func() any { return &fhir.Parser{} }
	m.index.Store(&indexing{now: m.cfg.Indexer})
	return m
}

// A prepared content with its time put in is the resource as it would have been
// indexed with that time, to the byte.
func TestStampedContentIsWhole(t *testing.T) {
	m := indexed(t)
	for _, src := range []string{
		`{"resourceType":"Patient","name":[{"family":"李","given":["时珍"]}],"birthDate":"1518-07-03"}`,
		`{"resourceType":"Patient","meta":{"tag":[{"code":"x"}],"lastUpdated":"1999-01-01T00:00:00Z"}}`,
		`{"resourceType":"Observation","status":"final","effectiveDateTime":"2026-11-22","code":{"text":"脉象"},"valueString":"弦"}`,
		`{"resourceType":"Encounter","period":{"start":"2026-11-22T08:00:00+08:00"}}`,
	} {
		tree, err := fhir.Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		typ := tree.Root().ResourceType()
		const at = "2025-11-22T08:26:40.123Z"
		var c content
		if err := m.fill(&c, []byte(src), typ, "a", nil, nil); err != nil {
			t.Fatal(err)
		}
		c.stamp(at)
		if tree, err = fhir.Parse(c.json); err != nil || tree.Root().Path("meta", "lastUpdated").Str() != at {
			t.Fatalf("stamped %s: %v", c.json, err)
		}
		keys, err := m.index.Load().timeKeys(c.keys, typ, "a", at)
		if err != nil || len(keys) == len(c.keys) {
			t.Fatalf("%d keys of the time, %v", len(keys)-len(c.keys), err)
		}
		want, err := m.cfg.Indexer.Keys(nil, typ, "a", tree.Root())
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(keys, bytes.Compare)
		slices.SortFunc(want, bytes.Compare)
		if !slices.EqualFunc(keys, want, bytes.Equal) {
			t.Errorf("%s: keys\n%q\n%q", src, keys, want)
		}
		if v := c.versioned(12); !bytes.Contains(v, []byte(`"versionId":"12"`)) {
			t.Errorf("version: %s", v)
		}
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{"a": true, "A-1.b": true, "a_b": false, "": false, "中": false, string(make([]byte, 65)): false, "a/b": false} {
		if ValidID(id) != want {
			t.Errorf("%q", id)
		}
	}
	if id := derivedID("tx", 1); !ValidID(id) || len(id) != 36 || id == derivedID("tx", 2) || id != derivedID("tx", 1) {
		t.Errorf("derived id %q", id)
	}
}

// FuzzFill: whatever parses comes out as the same resource with its stamps.
func FuzzFill(f *testing.F) {
	m := indexed(f)
	f.Add([]byte(`{"resourceType":"Patient","id":"x","meta":{"versionId":"3"},"link":{"reference":"urn:uuid:1"}}`))
	f.Add([]byte(`{"meta":null,"resourceType":"Patient"}`))
	f.Add([]byte(`{"text":{"div":"<a href=\"urn:uuid:1\">"},"resourceType":"Patient","id":null}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		var c content
		if err := m.fill(&c, src, "Patient", "a", stamp.Links{"urn:uuid:1": "Patient/p"}, nil); err != nil || c.open {
			return
		}
		tree, err := fhir.Parse(c.json)
		if err != nil {
			t.Fatalf("%q became %q: %v", src, c.json, err)
		}
		root := tree.Root()
		if root.Get("id").Str() != "a" || root.Path("meta", "versionId").Str() != "1" || root.Path("meta", "lastUpdated").Str() != never {
			t.Fatalf("%q became %q", src, c.json)
		}
		if v := c.versioned(1234567); string(v[c.verAt:c.verAt+7]) != "1234567" {
			t.Fatalf("version in %q", v)
		}
	})
}

// Views are kept up to the limit, the pinned ones longest, and all are closed.
func TestViewsKeepAndClose(t *testing.T) {
	now := time.Unix(0, 0)
	kv := &counting{}
	v := newViews(kv, clock.Fixed(now), 8, time.Minute)
	for i := range int64(20) {
		kv.applied = i
		s, err := v.take(i)
		if err != nil || s.st.applied != i {
			t.Fatalf("take %d: %+v, %v", i, s, err)
		}
		v.clock = clock.Fixed(now.Add(time.Duration(i) * time.Second))
		v.retain(s, i == 3)
		v.release(s)
	}
	if s := v.at(3); s == nil {
		t.Error("the pinned view is gone")
	} else {
		v.release(s)
	}
	if v.at(1) != nil {
		t.Error("an old view is still there")
	}
	if len(v.kept) > 8 || kv.open > 9 {
		t.Errorf("%d kept, %d open", len(v.kept), kv.open)
	}
	v.clock = clock.Fixed(now.Add(time.Hour))
	if v.expire(); len(v.kept) != 0 || kv.open != 1 {
		t.Errorf("expired: %d kept, %d open", len(v.kept), kv.open)
	}
	if v.closeAll(); kv.open != 0 {
		t.Errorf("%d open after the end", kv.open)
	}
}

// counting is a KV that only counts its views.
type counting struct {
	open    int
	applied int64
}

func (k *counting) Get(_, _ []byte) ([]byte, bool, error) { return nil, false, nil }
func (k *counting) Begin(bool) Batch                      { return nil }
func (k *counting) View() View {
	k.open++
	return &counted{k, (&state{applied: k.applied}).encode(nil)}
}

type counted struct {
	k     *counting
	state []byte
}

func (v *counted) Get(_, _ []byte) ([]byte, bool, error) { return v.state, true, nil }
func (v *counted) Iter(_, _ []byte) search.Iterator      { return nil }
func (v *counted) Close() error                          { v.k.open--; return nil }
