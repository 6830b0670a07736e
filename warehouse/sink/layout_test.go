package sink

import (
	"flag"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/engine/enginetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestLayouts holds the DDL of the three layouts against golden files: the same
// tables, and what replicas and shards add.
func TestLayouts(t *testing.T) {
	for name, l := range map[string]Layout{"single": {}, "replicated": {Cluster: "province", Replicated: true}, "sharded": {Cluster: "province", Replicated: true, Sharded: true}} {
		cfg := Default()
		cfg.Layout = l
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		s := &Sink{cfg: cfg, landing: landing("qihuang", l)}
		view := &table{database: "qihuang", name: "claim", layout: l, columns: []column{{"id", "Nullable(String)", "资源 id"}, {"total", "Nullable(Decimal(18, 6))", "金额 'x'"}}}
		list := append(landingDDL(s.landing), s.ownDDL()...)
		list = append(list, view.create()...)
		list = append(list, "-- additive")
		list = append(list, l.alter("qihuang", "claim", view.columns[1].sql(), "AFTER `id`")...)
		list = append(list, "-- indexed")
		list = append(list, l.index("qihuang", "claim", "encounter_id")...)
		list = append(list, "-- rebuilt")
		list = append(list, l.replace("qihuang", freshPrefix+"claim", "claim", true)...)
		list = append(list, "-- new")
		list = append(list, l.replace("qihuang", freshPrefix+"claim", "claim", false)...)
		list = append(list, "-- dropped")
		list = append(list, l.drop("qihuang", "claim")...)
		got := strings.Join(list, ";\n") + ";\n"
		file := "testdata/" + name + ".sql"
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: DDL changed; run with -update and look at the difference:\n%s", name, got)
		}
	}
	for _, bad := range []Layout{{Replicated: true}, {Sharded: true}, {Cluster: "a b"}} {
		if err := bad.Validate(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestLayoutsParse asks the engine's own parser whether it understands each
// statement of the golden files, ON CLUSTER and all, since none here can run
// them on a cluster.
func TestLayoutsParse(t *testing.T) {
	engine, _ := enginetest.Start(t)
	for _, file := range []string{"testdata/single.sql", "testdata/replicated.sql", "testdata/sharded.sql"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(string(text), ";\n") {
			if statement == "" || strings.HasPrefix(statement, "--") {
				continue
			}
			if failure := parses(t, engine.URL(), statement); failure != "" {
				t.Errorf("%s: %s\n%s", file, failure, statement)
			}
		}
	}
	if parses(t, engine.URL(), "EXCHANGE TABLES a ON CLUSTER c AND b") == "" {
		t.Error("a clause in the wrong place is no syntax error")
	}
}

// parses returns what the engine finds wrong with a statement's form, "" = nothing.
func parses(t *testing.T, url, statement string) string {
	t.Helper()
	res, err := http.Post(url, "text/plain", strings.NewReader("SELECT formatQuery("+quote(statement)+")"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		return ""
	}
	return string(body)
}
