package alerts

import (
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

func catalogue(t *testing.T) *measures.Catalogue {
	t.Helper()
	k, err := rational.Load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := measures.Load(k)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func shipped(t *testing.T) map[string]*Rule {
	t.Helper()
	list, err := Load(conformance.AlertRules(), catalogue(t))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*Rule{}
	for _, r := range list {
		out[r.Name] = r
	}
	return out
}

func TestLoad(t *testing.T) {
	kinds := map[Kind]bool{}
	for _, r := range shipped(t) {
		kinds[r.Kind] = true
	}
	if len(kinds) != 6 {
		t.Errorf("kinds of the shipped rules: %v", kinds)
	}
	c := catalogue(t)
	for name, text := range map[string]string{
		"unknown key":       "rules: [{name: a, titel: x}]",
		"unknown measure":   "rules: [{name: a, title: x, level: info, due: 1, kind: threshold, window: 1, above: 1, measure: nope}]",
		"no limit":          "rules: [{name: a, title: x, level: info, due: 1, kind: threshold, window: 1, measure: outpatient-visits}]",
		"not additive":      "rules: [{name: a, title: x, level: info, due: 1, kind: threshold, window: 1, above: 1, measure: patients-seen}]",
		"bad level":         "rules: [{name: a, title: x, level: red, due: 1, kind: threshold, window: 1, above: 1, measure: outpatient-visits}]",
		"twice":             "rules: [{name: a, title: x, level: info, due: 1, kind: silence, days: 1, baseline: 9, usual: 0.5, measure: outpatient-visits}, {name: a}]",
		"bad name":          "rules: [{name: 'a b'}]",
		"no kind":           "rules: [{name: a, title: x, level: info, due: 1, measure: outpatient-visits}]",
		"cluster by doctor": "rules: [{name: a, title: x, level: info, due: 1, kind: cluster, by: doctor, window: 7, baseline: 28, factor: 3, least: 10, measure: outpatient-visits}]",
		"impossible empty":  "rules: [{name: a, title: x, level: info, due: 1, kind: impossible}]",
	} {
		if _, err := Load([]byte(text), c); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var day = time.Date(2026, 9, 30, 0, 0, 0, 0, measures.Shanghai())

// steady is a series of a hall: n a day for a number of days, up to the day
// before last.
func steady(n, d float64, days, upTo int) map[int]sums {
	out := map[int]sums{}
	for i := range days {
		out[upTo-i] = sums{n, d}
	}
	return out
}

func TestKinds(t *testing.T) {
	rules, last := shipped(t), dayNumber(day)
	peers := series{}
	for i, cost := range []float64{100, 104, 98, 101, 99, 240} {
		peers[key{org: string(rune('a' + i))}] = steady(cost*5, 5, 28, last)
	}
	for _, c := range []struct {
		what, rule string
		s          series
		want       string // orgs that fire
	}{
		{"above", "overdose", series{{org: "a"}: steady(1, 5, 7, last), {org: "b"}: steady(0, 5, 7, last)}, "a"},
		{"above, too few", "overdose", series{{org: "a"}: steady(1, 2, 7, last)}, ""},
		{"below", "syndrome-missing", series{{org: "a"}: steady(8, 10, 7, last), {org: "b"}: steady(9, 10, 7, last)}, "a"},
		{"surge", "visits-surge", series{{org: "a"}: join(steady(10, 0, 21, last-3), steady(30, 0, 3, last)), {org: "b"}: steady(10, 0, 24, last)}, "a"},
		{"new hall", "visits-surge", series{{org: "a"}: join(steady(10, 0, 5, last-3), steady(30, 0, 3, last))}, ""},
		{"peer", "drug-cost-outlier", peers, "f"},
		{"silence", "silence", series{{org: "a"}: steady(5, 0, 20, last-2), {org: "b"}: steady(5, 0, 20, last-1), {org: "c"}: steady(5, 0, 4, last-2)}, "a"},
		{"cluster", "disease-cluster", series{{"a", "感冒"}: join(steady(1, 0, 28, last-7), steady(4, 0, 7, last)), {"a", "咳嗽"}: join(steady(1, 0, 28, last-7), steady(3, 0, 7, last))}, "a"},
		{"cluster of what was never there", "disease-cluster", series{{"a", "感冒"}: steady(5, 0, 2, last), {"a", "咳嗽"}: steady(1, 0, 35, last), {"b", ""}: join(steady(1, 0, 28, last-7), steady(9, 0, 7, last))}, "a"},
		{"cluster, too few", "disease-cluster", series{{"a", "感冒"}: steady(9, 0, 1, last), {"a", "咳嗽"}: steady(1, 0, 35, last)}, ""},
		{"cluster in a new hall", "disease-cluster", series{{"a", "感冒"}: steady(9, 0, 10, last)}, ""},
		{"impossible", "doctor-overload", series{{org: "a", part: "d1"}: steady(121, 0, 1, last), {org: "a", part: "d2"}: steady(120, 0, 1, last)}, "a"},
	} {
		var got []string
		for _, f := range rules[c.rule].fire(c.s, c.s.halls(), nil, day) {
			got = append(got, f.Org)
			if f.Text == "" {
				t.Errorf("%s: no words", c.what)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: fired for %q, want %q", c.what, got, c.want)
		}
	}
}

func join(parts ...map[int]sums) map[int]sums {
	out := map[int]sums{}
	for _, p := range parts {
		for d, v := range p {
			out[d] = v
		}
	}
	return out
}

func TestEpisodes(t *testing.T) {
	at := func(n int) Finding { return Finding{Name: "r", Org: "a", Day: day.AddDate(0, 0, n)} }
	list := Episodes([]Finding{at(0), at(1), at(3)}, 0)
	if len(list) != 2 || list[0].Last != "2026-10-01" || list[1].First != "2026-10-03" {
		t.Errorf("%+v", list)
	}
	if list := Episodes([]Finding{at(0), at(1), at(3)}, 1); len(list) != 1 || len(list[0].Days) != 3 {
		t.Errorf("a pause of a day: %+v", list)
	}
}

// TestWorkflow takes a task from its opening to its end, and tries what its
// states do not allow.
func TestWorkflow(t *testing.T) {
	hall, county, city := Hall{Code: "h", Name: "馆", Owner: "x"}, Hall{Code: "x", Name: "县局", Owner: "c"}, Hall{Code: "c", Name: "市局"}
	f := Finding{Rule: &Rule{Due: 7}, Name: "overdose", Title: "超剂量", Level: "warning", Org: "h", OrgName: "馆", Day: day, From: day, Value: 0.25, Expected: 0.02, Text: "高"}
	task := taskOf(f, county, []string{"Encounter/1"}, day)
	for _, s := range []struct {
		action string
		step   Step
		want   fault.Kind // 0 = goes well
		state  State
		owner  string
	}{
		{"submit", Step{By: "张"}, fault.Conflict, Waiting, "x"},
		{"assign", Step{By: "张", Owner: "nobody"}, fault.Invalid, Waiting, "x"},
		{"assign", Step{Owner: "h"}, fault.Invalid, Waiting, "x"},
		{"assign", Step{By: "张", Owner: "h"}, 0, Assigned, "h"},
		{"handle", Step{By: "李", Note: "正在核对"}, 0, Working, "h"},
		{"escalate", Step{By: "李"}, 0, Waiting, "x"},
		{"escalate", Step{By: "县"}, 0, Waiting, "c"},
		{"escalate", Step{By: "市"}, fault.Conflict, Waiting, "c"},
		{"assign", Step{By: "市", Owner: "h"}, 0, Assigned, "h"},
		{"submit", Step{By: "李", Note: "已整改"}, 0, Submitted, "h"},
		{"close", Step{By: "市"}, fault.Invalid, Submitted, "h"},
		{"close", Step{By: "市", Note: "复核通过"}, 0, Closed, "h"},
		{"handle", Step{By: "李"}, fault.Conflict, Closed, "h"},
		{"dance", Step{By: "李"}, fault.NotFound, Closed, "h"},
	} {
		halls := map[string]Hall{"h": hall, "x": county, "c": city}
		err := task.act(s.action, s.step, halls[s.step.Owner], halls[halls[task.Owner].Owner], day)
		if s.want == 0 && err != nil || s.want != 0 && fault.KindOf(err) != s.want {
			t.Fatalf("%s: %v", s.action, err)
		}
		if task.State != s.state || task.Owner != s.owner {
			t.Fatalf("%s: %s with %s", s.action, task.State, task.Owner)
		}
		body, err := task.resource()
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(body, 3)
		if err != nil {
			t.Fatal(err)
		}
		if again.State != task.State || again.Value != 0.25 || again.Evidence[0] != "Encounter/1" || len(again.Log) != len(task.Log) || again.Owner != task.Owner || again.Rule != "overdose" || !again.Due.Equal(task.Due) {
			t.Fatalf("read back %+v, wrote %+v", again, task)
		}
	}
	if task.Level != "serious" || task.Open() {
		t.Errorf("%+v", task)
	}
}
