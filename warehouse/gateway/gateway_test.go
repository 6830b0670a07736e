package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func hash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// door opens a gateway over an engine with two halls' data.
func door(t *testing.T, change func(*Config)) *httptest.Server {
	t.Helper()
	s, _ := enginetest.Start(t)
	for _, query := range []string{
		"CREATE TABLE patient (id String, name Nullable(String) COMMENT '姓名（敏感）', org_code Nullable(String), _version UInt64, _deleted UInt8) ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id",
		"CREATE TABLE encounter (id String, patient_id String, org_code Nullable(String)) ENGINE = ReplacingMergeTree ORDER BY id",
		"CREATE TABLE condition (id String, encounter_id String, code String) ENGINE = ReplacingMergeTree ORDER BY id",
		"CREATE TABLE hall (id String) ENGINE = Memory",
		"CREATE TABLE resource (id String, resource String) ENGINE = Memory",
		"CREATE TABLE _position (next UInt64) ENGINE = Memory",
		"INSERT INTO patient VALUES ('p1', '张三', 'A', 1, 0), ('p2', '李四', 'B', 1, 0)",
		"INSERT INTO encounter VALUES ('e1', 'p1', 'A'), ('e2', 'p2', 'B')",
		"INSERT INTO condition VALUES ('c1', 'e1', 'x'), ('c2', 'e2', 'x')",
		"INSERT INTO hall VALUES ('A')",
		"CREATE TABLE _mart_recent (id String, org_code LowCardinality(String)) ENGINE = MergeTree ORDER BY org_code",
		"CREATE TABLE _mart_past AS _mart_recent",
		"CREATE VIEW mart_visit AS SELECT * FROM (SELECT * FROM _mart_recent UNION ALL SELECT * FROM _mart_past)",
		"INSERT INTO _mart_recent VALUES ('e1', 'A'), ('e2', 'B')",
		"INSERT INTO _mart_past VALUES ('e3', 'A'), ('e4', 'B'), ('e5', '')",
	} {
		res, err := http.Post(s.URL()+"/?database=qihuang", "text/plain", strings.NewReader(query))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", query, body)
		}
	}
	cfg := Default()
	cfg.Upstream = s.URL()
	cfg.Users = []User{
		{Name: "root", Password: hash("r"), Admin: true},
		{Name: "all", Password: hash("a")},
		{Name: "ida", Password: hash("i"), Identity: true},
		{Name: "hall", Password: hash("h"), Orgs: []string{"A"}},
	}
	if change != nil {
		change(&cfg)
	}
	g, err := New(cfg, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	return srv
}

// ask runs a query as a user and returns its output, or the exception's code.
func ask(t *testing.T, srv *httptest.Server, user, password, params, query string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, srv.URL+"/?database=qihuang&"+params, strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if code := res.Header.Get("X-ClickHouse-Exception-Code"); code != "" {
		if res.StatusCode == http.StatusOK || !strings.HasPrefix(string(body), "Code: "+code) {
			t.Errorf("%s: %d %s", query, res.StatusCode, body)
		}
		return "!" + code
	}
	return strings.TrimSpace(string(body))
}

func TestAccess(t *testing.T) {
	srv := door(t, nil)
	for _, c := range []struct{ user, params, query, want string }{
		{"root", "", "SELECT name FROM patient ORDER BY id LIMIT 1", "张三"},
		{"all", "", "SELECT count() FROM patient FINAL", "2"},
		{"all", "", "SELECT id, org_code FROM patient ORDER BY id", "p1\tA\np2\tB"},
		{"all", "", "SELECT * FROM patient", "!497"},
		{"all", "", "SELECT name FROM patient", "!497"},
		{"all", "", "SELECT id FROM patient WHERE name = '张三'", "!497"},
		{"all", "", "SELECT (SELECT max(name) FROM patient)", "!497"},
		{"all", "", "WITH x AS (SELECT name AS id FROM patient) SELECT id FROM x", "!497"},
		{"all", "", "SELECT n FROM (SELECT name n FROM patient AS `p, table_name: qihuang.hall`)", "!497"},
		{"all", "", "SELECT id FROM patient ORDER BY name", "!497"},
		{"all", "", "SELECT count() FROM encounter e JOIN patient p ON p.name = e.id", "!497"},
		{"ida", "", "SELECT name FROM patient ORDER BY id LIMIT 1", "张三"},
		{"ida", "", "SELECT count() FROM resource", "0"},
		{"all", "", "SELECT count() FROM resource", "!497"},
		{"ida", "", "SELECT count() FROM _position", "!497"},
		{"hall", "", "SELECT count() FROM patient", "1"},
		{"hall", "", "SELECT id FROM encounter FINAL", "e1"},
		{"hall", "", "SELECT id FROM condition", "c1"},
		{"hall", "", "SELECT c.id FROM condition c JOIN encounter e ON e.id = c.encounter_id", "c1"},
		{"hall", "", "SELECT (SELECT count() FROM condition)", "1"},
		{"hall", "", "SELECT id FROM hall", "A"},
		{"hall", "", "SELECT count() FROM resource", "!497"},
		{"all", "", "SELECT count() FROM mart_visit", "5"},
		{"hall", "", "SELECT id FROM mart_visit ORDER BY id", "e1\ne3"},
		{"hall", "", "SELECT count() FROM mart_visit AS m WHERE m.org_code != 'A' OR 1", "2"},
		{"hall", "", "SELECT count() FROM mart_visit AS a, mart_visit AS b", "4"},
		{"hall", "", "SELECT (SELECT max(id) FROM mart_visit)", "e3"},
		{"hall", "", "WITH x AS (SELECT id FROM qihuang.mart_visit) SELECT count() FROM x", "2"},
		{"hall", "", "SELECT count() FROM encounter AS e RIGHT JOIN mart_visit AS m USING (id)", "2"},
		{"hall", "", "SELECT count() FROM viewExplain('EXPLAIN', '', (SELECT id FROM mart_visit))", "!164"},
		{"hall", "", "SELECT count() FROM _mart_recent", "!497"},
		{"hall", "", "SELECT count() FROM merge('qihuang', 'patient')", "!497"},
		{"hall", "", "SELECT count() FROM patient SETTINGS additional_table_filters = {}", "!164"},
		{"hall", "additional_table_filters={}", "SELECT count() FROM patient", "!452"},
		{"hall", "readonly=0", "SELECT 1", "!452"},
		{"hall", "param_t=_position", "SELECT count() FROM {t:Identifier}", "!497"},
		{"hall", "param_t=patient", "SELECT count() FROM {t:Identifier}", "1"},
		{"all", "", "SELECT count() FROM system.processes", "!497"},
		{"all", "", "SELECT count() > 3 FROM system.columns WHERE database = 'qihuang'", "1"},
		{"all", "", "SELECT sum(number) FROM numbers(4)", "6"},
		{"all", "", "SELECT * FROM url('http://127.0.0.1/', CSV, 'a String')", "!164"},
		{"all", "", "SELECT * FROM file('/etc/passwd')", "!497"},
		{"all", "", "SHOW TABLES LIKE 'hall'", "hall"},
		{"all", "", "SHOW PROCESSLIST", "!497"},
		{"all", "", "EXPLAIN QUERY TREE SELECT (SELECT max(name) FROM patient)", "!164"},
		{"all", "", "INSERT INTO hall VALUES ('x')", "!164"},
		{"all", "", "DROP TABLE hall", "!164"},
		{"all", "", "SET readonly = 0", "!164"},
		{"all", "", "SELECT 1; DROP TABLE hall", "!62"},
		{"all", "default_format=JSONEachRow", "SELECT 1 AS x", `{"x":1}`},
		{"all", "query=SELECT+%7Ba:UInt8%7D&param_a=5", "", "5"},
		{"all", "", "SELECT 1 AS x FORMAT CSV", "1"},
		{"all", "", "SELECT nope", "!47"},
	} {
		if got := ask(t, srv, c.user, c.user[:1], c.params, c.query); got != c.want {
			t.Errorf("%s: %s %s = %q, want %q", c.user, c.params, c.query, got, c.want)
		}
	}
	for _, c := range [][2]string{{"all", "x"}, {"nobody", "a"}, {"", ""}} {
		if got := ask(t, srv, c[0], c[1], "", "SELECT 1"); got != "!516" {
			t.Errorf("%v: %s", c, got)
		}
	}
}

func TestLimits(t *testing.T) {
	srv := door(t, func(c *Config) { c.Limits.Time, c.Limits.Hourly = 1e9, 3 })
	if got := ask(t, srv, "all", "a", "", "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"); got != "!159" {
		t.Errorf("endless query: %s", got)
	}
	ask(t, srv, "all", "a", "", "SELECT 1")
	ask(t, srv, "all", "a", "", "SELECT 1")
	if got := ask(t, srv, "all", "a", "", "SELECT 1"); got != "!201" {
		t.Errorf("quota: %s", got)
	}
	if got := ask(t, srv, "hall", "h", "", "SELECT 1"); got != "1" {
		t.Errorf("another user: %s", got)
	}
}

// TestDriver reads with the unmodified Go driver as an analyst.
// TestBadQueries are queries that would harm others: they end with a clear
// error, the data is as before, and the log has them.
func TestBadQueries(t *testing.T) {
	var log recorder
	srv := door(t, func(c *Config) { c.Limits.Time, c.Recorder = 2*time.Second, &log })
	joins := "SELECT count() FROM encounter AS e0"
	for i := 1; i <= 100; i++ {
		joins += fmt.Sprintf(" JOIN encounter AS e%d ON e%d.id = e0.id", i, i)
	}
	begun := time.Now()
	for query, want := range map[string]string{
		joins: "!724",
		"SELECT count() FROM numbers(1000000000000000) WHERE sipHash64(number) = 1":         "!159",
		"SELECT 1;\n\nDROP TABLE patient;":                                                  "!62",
		"DROP TABLE patient":                                                                "!164",
		"INSERT INTO patient VALUES ('x', 'y', 'A', 1, 0)":                                  "!164",
		"SELECT * FROM url('http://127.0.0.1/', CSV, 'a String')":                           "!164",
		"SELECT * FROM file('/etc/passwd', LineAsString)":                                   "!497",
		"SELECT count() FROM condition WHERE code = '\n\nDROP TABLE patient;' SETTINGS x=1": "!115",
		"SYSTEM SHUTDOWN":                   "!164",
		"SELECT repeat('x', 1000000000000)": "!131",
	} {
		if got := ask(t, srv, "all", "a", "", query); got != want {
			t.Errorf("%.60s: %s, want %s", query, got, want)
		}
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("bad queries took %s", took)
	}
	if got := ask(t, srv, "ida", "i", "", "SELECT count(), countIf(name = '张三') FROM patient FINAL"); got != "2\t1" {
		t.Errorf("patients afterwards: %s", got)
	}
	if n := len(log.list); n != 11 || log.list[n-1].User != "ida" || log.list[n-1].Query == "" {
		t.Errorf("log of %d queries", n)
	}
}

// recorder keeps a log of queries.
type recorder struct {
	mu   sync.Mutex
	list []Entry
}

func (r *recorder) Record(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, e)
}

func TestDriver(t *testing.T) {
	srv := door(t, nil)
	c, err := clickhouse.Open(&clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{strings.TrimPrefix(srv.URL, "http://")},
		Auth: clickhouse.Auth{Database: "qihuang", Username: "hall", Password: "h"}, Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var n uint64
	if err := c.QueryRow(t.Context(), "SELECT count() FROM patient WHERE id != {x:String}", clickhouse.Named("x", "y")).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfig_bad(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"upstream": func(c *Config) { c.Upstream = "" }, "database": func(c *Config) { c.Database = "a b" },
		"password": func(c *Config) { c.Users = []User{{Name: "a", Password: "plain"}} },
		"org":      func(c *Config) { c.Users = []User{{Name: "a", Password: hash("x"), Orgs: []string{"' OR 1"}}} },
		"limits":   func(c *Config) { c.Limits.Hourly = 0 },
	} {
		c := Default()
		c.Upstream = "http://h:1"
		change(&c)
		if err := c.Validate(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
