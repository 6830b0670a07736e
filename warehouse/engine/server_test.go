package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func TestHTTP(t *testing.T) {
	s := launch(t, testConfig(t, t.TempDir()))
	for name, test := range map[string]func(*testing.T, *Supervisor){
		"query": testQuery, "errors": testErrors, "insert": testInsert, "formats": testFormats, "compression": testCompression,
		"sessions": testSessions, "parallel": testParallel, "cancel": testCancel, "stream": testStream, "external": testExternal,
		"files": testFiles, "driver": testDriver, "kill": testKill, "progress": testProgress, "urgency": testUrgency,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

func testQuery(t *testing.T, s *Supervisor) {
	for _, c := range []struct{ params, body, want string }{
		{q("SELECT 1"), "", "1\n"},
		{"", "SELECT 1", "1\n"},
		{q("SELECT 1 +"), " 2", "3\n"},
		{q("SELECT 1; -- done\n ;"), "", ""},
		{q("SELECT 1 ; "), "", "1\n"},
		{q("SELECT ';' -- ; x"), "", ";\n"},
		{q("SELECT currentDatabase()") + "&database=qihuang", "", "qihuang\n"},
		{q("SELECT getSetting('max_threads')") + "&max_threads=3", "", "3\n"},
		{q("SELECT {a:String}, {b:UInt8}") + "&param_a=it's%20%27&param_b=7", "", "it\\'s \\'\t7\n"},
		{q("SELECT 1 AS x FORMAT JSONEachRow"), "", "{\"x\":1}\n"},
		{q("SELECT 1 AS x") + "&default_format=CSVWithNames", "", "\"x\"\n1\n"},
		{q("SELECT 1 AS x FORMAT CSV SETTINGS max_threads=1"), "", "1\n"},
		{q("SELECT 1 AS x SETTINGS max_threads=1 FORMAT CSV"), "", "1\n"},
		{q("WITH 1 AS x SELECT x"), "", "1\n"},
		{q("(SELECT 1) UNION ALL (SELECT 1)"), "", "1\n1\n"},
		{q("SELECT '中药\n\n饮片'"), "", "中药\\n\\n饮片\n"},
		{q("EXISTS TABLE system.one"), "", "1\n"},
		{q("SELECT timezone()"), "", "Asia/Shanghai\n"},
		{"wait_end_of_query=1&" + q("SELECT sum(length(toString(number))) FROM numbers(10)"), "", "10\n"},
	} {
		r := post(t, s, c.params, c.body)
		if c.want == "" {
			if r.status == http.StatusOK {
				t.Errorf("%s: no error", c.params)
			}
			continue
		}
		if r.status != http.StatusOK || r.body != c.want {
			t.Errorf("%s %s = %d %q, want %q", c.params, c.body, r.status, r.body, c.want)
		}
	}
	if r := get(t, s, ""); r.body != "Ok.\n" {
		t.Errorf("/ = %q", r.body)
	}
	r := get(t, s, "query_id=abc&"+q("SELECT 1"))
	for name, want := range map[string]string{"X-Clickhouse-Query-Id": "abc", "X-Clickhouse-Format": "TabSeparated", "X-Clickhouse-Timezone": "Asia/Shanghai"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s = %q", name, got)
		}
	}
	if got := r.header.Get("X-ClickHouse-Summary"); !strings.Contains(got, `"result_rows":"1"`) {
		t.Errorf("summary %q", got)
	}
}

func testErrors(t *testing.T, s *Supervisor) {
	for _, c := range []struct {
		params, body string
		status       int
		code         string
	}{
		{"", "", 400, "62"},
		{q("SELEC 1"), "", 400, "62"},
		{q("SELECT 1; SELECT 2"), "", 400, "62"},
		{q("SELECT 1; DROP TABLE x"), "", 400, "62"},
		{q("SELECT * FROM nope"), "", 404, "60"},
		{q("SELECT nope"), "", 404, "47"},
		{q("SELECT 1") + "&database=nope", "", 404, "81"},
		{q("SELECT 1") + "&no_such_setting=1", "", 404, "115"},
		{q("SELECT 1") + "&a'%3Ddrop=1", "", 404, "115"},
		{q("SELECT 1 FORMAT Nope"), "", 404, "73"},
		{q("SELECT {a:UInt8}"), "", 0, "456"},
		{q("SELECT {a:UInt8}") + "&param_a=x", "", 0, "457"},
		{q("SELECT 1 INTO OUTFILE '/tmp/x'"), "", 0, "358"},
		{q("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV"), "", 404, "78"},
		{q("SELECT throwIf(1)"), "", 0, "395"},
		{q("SELECT count() FROM numbers(1e15) SETTINGS max_execution_time=0.2"), "", 408, "159"},
		{q("SELECT groupArray(number) FROM numbers(1e9) SETTINGS max_memory_usage=10000000"), "", 500, "241"},
	} {
		r := post(t, s, c.params, c.body)
		if got := r.header.Get("X-ClickHouse-Exception-Code"); got != c.code || c.status != 0 && r.status != c.status ||
			!strings.HasPrefix(r.body, "Code: "+c.code+". DB::Exception: ") || !strings.Contains(r.body, "(version ") {
			t.Errorf("%s = %d %s %q", c.params, r.status, got, r.body)
		}
	}
	if r := get(t, s, q("CREATE TABLE ro (a UInt8) ENGINE = Memory")); r.header.Get("X-ClickHouse-Exception-Code") != "164" {
		t.Errorf("GET changed data: %d %s", r.status, r.body)
	}
}

func testInsert(t *testing.T, s *Supervisor) {
	must(t, s, "CREATE TABLE ins (a UInt32, s String DEFAULT concat('d', toString(a))) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100")
	for _, c := range []struct{ params, body string }{
		{q("INSERT INTO ins FORMAT JSONEachRow"), "{\"a\":1}\n\n\n{\"a\":2,\"s\":\"x\\n\\nDROP TABLE ins;\"}"},
		{"", "INSERT INTO ins (a) VALUES (3), (2+2)"},
		{"", "INSERT INTO ins (s, a) FORMAT CSV\n\"y\n\nDROP TABLE qihuang.ins;\n\n\",5\n"},
		{q("INSERT INTO ins (a, s) VALUES"), "(6, 'format csv; select')"},
		{q("INSERT INTO ins (a) SETTINGS async_insert=1, wait_for_async_insert=1 FORMAT TSV"), "7\n"},
		{q("INSERT INTO ins SELECT number + 8, 'sel' FROM numbers(2)"), ""},
		{q("INSERT INTO ins (a) SELECT n + 1 FROM input('n UInt32') FORMAT CSV"), "9\n"},
		{q("INSERT INTO ins (a) FORMAT CSV") + "&insert_deduplication_token=t1", "11\n"},
		{q("INSERT INTO ins (a) FORMAT CSV") + "&insert_deduplication_token=t1", "11\n"},
		{q("INSERT INTO ins (a) FORMAT CSV"), ""},
	} {
		if r := post(t, s, "database=qihuang&"+c.params, c.body); r.status != http.StatusOK || r.body != "" {
			t.Errorf("%s %s = %d %s", c.params, c.body, r.status, r.body)
		}
	}
	want := `{"a":1,"s":"d1"}
{"a":2,"s":"x\n\nDROP TABLE ins;"}
{"a":3,"s":"d3"}
{"a":4,"s":"d4"}
{"a":5,"s":"y\n\nDROP TABLE qihuang.ins;\n\n"}
{"a":6,"s":"format csv; select"}
{"a":7,"s":"d7"}
{"a":8,"s":"sel"}
{"a":9,"s":"sel"}
{"a":10,"s":"d10"}
{"a":11,"s":"d11"}
`
	if got := must(t, s, "SELECT * FROM ins ORDER BY a FORMAT JSONEachRow"); got != want {
		t.Errorf("rows:\n%s", got)
	}
	r := post(t, s, "database=qihuang&"+q("INSERT INTO ins (a) FORMAT CSV"), "1\n2\n")
	if got := r.header.Get("X-ClickHouse-Summary"); !strings.Contains(got, `"written_rows":"2"`) {
		t.Errorf("summary %s", got)
	}
	if r := post(t, s, "database=qihuang&"+q("INSERT INTO ins (a) FORMAT CSV"), "x\n"); r.status != 400 {
		t.Errorf("bad data: %d %s", r.status, r.body)
	}
}

func testFormats(t *testing.T, s *Supervisor) {
	for _, format := range []string{"TabSeparated", "TSVWithNames", "CSV", "CSVWithNames", "JSON", "JSONCompact", "JSONEachRow", "JSONColumns", "XML",
		"Pretty", "PrettyCompact", "Vertical", "Markdown", "Values", "Native", "RowBinary", "RowBinaryWithNamesAndTypes", "Parquet", "Arrow", "ArrowStream", "ORC", "Avro", "Null", "SQLInsert"} {
		r := get(t, s, q("SELECT number AS n, toString(number) AS s FROM numbers(70000)")+"&default_format="+format)
		if r.status != http.StatusOK || r.header.Get("X-ClickHouse-Format") != format || (len(r.body) == 0) != (format == "Null") {
			t.Errorf("%s: %d %d bytes", format, r.status, len(r.body))
		}
	}
	r := get(t, s, q("SELECT number FROM numbers(300000) FORMAT JSON"))
	if strings.Count(r.body, `"meta"`) != 1 || !strings.Contains(r.body, `"rows": 300000`) {
		t.Error("JSON came in pieces")
	}
}

func testCompression(t *testing.T, s *Supervisor) {
	must(t, s, "CREATE TABLE comp (a UInt32) ENGINE = Memory")
	plain := strings.Repeat("1\n2\n3\n", 1000)
	var gz, zs, lz, br, framed bytes.Buffer
	for _, w := range []io.WriteCloser{gzip.NewWriter(&gz), must2(zstd.NewWriter(&zs)), lz4.NewWriter(&lz), brotli.NewWriter(&br)} {
		_, _ = io.WriteString(w, plain)
		_ = w.Close()
	}
	fw := compress.NewWriter(compress.LevelZero, compress.LZ4)
	if err := fw.Compress([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	framed.Write(fw.Data)
	for encoding, body := range map[string]*bytes.Buffer{"gzip": &gz, "zstd": &zs, "lz4": &lz, "br": &br, "": &framed} {
		params := "database=qihuang&" + q("INSERT INTO comp FORMAT CSV")
		if encoding == "" {
			params += "&decompress=1"
		}
		req, _ := http.NewRequest(http.MethodPost, s.URL()+"/?"+params, body)
		req.Header.Set("Content-Encoding", encoding)
		if r := do(t, req); r.status != http.StatusOK {
			t.Errorf("insert %q: %d %s", encoding, r.status, r.body)
		}
	}
	if got := must(t, s, "SELECT count(), sum(a) FROM comp"); got != "15000\t30000\n" {
		t.Errorf("rows %s", got)
	}
	query := q("SELECT number FROM numbers(1000000)")
	want := get(t, s, query).body
	for encoding, open := range map[string]func(io.Reader) io.Reader{
		"gzip": func(r io.Reader) io.Reader { return must2(gzip.NewReader(r)) },
		"zstd": func(r io.Reader) io.Reader { return must2(zstd.NewReader(r)) },
		"lz4":  func(r io.Reader) io.Reader { return lz4.NewReader(r) },
		"br":   func(r io.Reader) io.Reader { return brotli.NewReader(r) },
		"":     func(r io.Reader) io.Reader { return blocks{compress.NewReader(r)} },
	} {
		params := query
		if encoding == "" {
			params += "&compress=1"
		}
		req, _ := http.NewRequest(http.MethodGet, s.URL()+"/?"+params, nil)
		req.Header.Set("Accept-Encoding", encoding)
		r := do(t, req)
		got, err := io.ReadAll(open(strings.NewReader(r.body)))
		if r.header.Get("Content-Encoding") != encoding || err != nil || string(got) != want {
			t.Errorf("%q: %v, %d bytes, want %d", encoding, err, len(got), len(want))
		}
	}
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func testSessions(t *testing.T, s *Supervisor) {
	for _, query := range []string{"CREATE TEMPORARY TABLE tmp (a UInt8)", "INSERT INTO tmp VALUES (5)", "SET max_threads = 2"} {
		if r := post(t, s, "session_id=s1&session_timeout=60", query); r.status != http.StatusOK {
			t.Fatalf("%s: %s", query, r.body)
		}
	}
	if r := get(t, s, "session_id=s1&"+q("SELECT a, getSetting('max_threads') FROM tmp")); r.body != "5\t2\n" {
		t.Errorf("session: %s", r.body)
	}
	if r := get(t, s, q("SELECT a FROM tmp")); r.status != http.StatusNotFound {
		t.Errorf("temporary table leaked: %s", r.body)
	}
	if r := get(t, s, "session_id=none&session_check=1&"+q("SELECT 1")); r.header.Get("X-ClickHouse-Exception-Code") != "372" {
		t.Errorf("session_check: %s", r.body)
	}
	if r := get(t, s, q("SELECT getSetting('max_threads')")); strings.HasPrefix(r.body, "2\n") && must(t, s, "SELECT 1") == "" {
		t.Error("setting leaked")
	}
}

func testParallel(t *testing.T, s *Supervisor) {
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			r := get(t, s, q(fmt.Sprintf("SELECT %d + sum(number) * 0, getSetting('max_block_size') FROM numbers(100000)", i))+fmt.Sprintf("&max_block_size=%d", 1000+i))
			if want := fmt.Sprintf("%d\t%d\n", i, 1000+i); r.body != want {
				t.Errorf("%d: %q", i, r.body)
			}
		})
	}
	wg.Wait()
}

func testCancel(t *testing.T, s *Supervisor) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/?query_id=gone&"+q("SELECT count() FROM numbers(1e13) WHERE sipHash64(number) = 1"), nil)
	if _, err := http.DefaultTransport.RoundTrip(req); err == nil {
		t.Fatal("no timeout")
	}
	await(t, func() bool {
		return must(t, s, "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number) = 1'") == "0\n"
	})
	await(t, func() bool { return get(t, s, "query_id=gone&"+q("SELECT 1")).body == "1\n" }) // the id is free again
}

// await fails the test unless ok becomes true within ten seconds.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("it did not happen")
		case <-tick.C:
		}
	}
}

func testKill(t *testing.T, s *Supervisor) {
	done := make(chan reply, 1)
	go func() {
		done <- post(t, s, "query_id=victim", "SELECT count() FROM numbers(1e13) WHERE sipHash64(number) = 2")
	}()
	await(t, func() bool {
		return must(t, s, "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number) = 2%' AND query NOT LIKE '%processes%'") == "1\n"
	})
	if r := post(t, s, "query_id=victim", "SELECT 1"); r.header.Get("X-ClickHouse-Exception-Code") != "216" {
		t.Errorf("same id: %s", r.body)
	}
	must(t, s, "KILL QUERY WHERE query_id = 'victim' ASYNC")
	if r := <-done; r.header.Get("X-ClickHouse-Exception-Code") != "394" {
		t.Errorf("killed: %d %s", r.status, r.body)
	}
}

func testStream(t *testing.T, s *Supervisor) {
	// A large result leaves while the query runs, and a client that stops
	// reading stops the query.
	res, err := http.Get(s.URL() + "/?" + q("SELECT number, 'stream' FROM numbers(1e12)"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, res.Body, 50<<20); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	await(t, func() bool {
		return must(t, s, "SELECT count() FROM system.processes WHERE query LIKE '%stream%' AND query NOT LIKE '%processes%'") == "0\n"
	})
	// An error after the beginning is told in the body and breaks it off.
	res, err = http.Get(s.URL() + "/?" + q("SELECT throwIf(number = 20000000), number FROM numbers(30000000)"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	tag := res.Header.Get("X-ClickHouse-Exception-Tag")
	if err == nil || tag == "" || !strings.Contains(string(body[max(0, len(body)-5000):]), "__exception__\r\n"+tag+"\r\nCode: 395.") {
		t.Errorf("broken stream: %v, tail %q", err, body[max(0, len(body)-300):])
	}
	// wait_end_of_query gives it a proper status instead.
	if r := get(t, s, "wait_end_of_query=1&"+q("SELECT throwIf(number = 20000000), number FROM numbers(30000000)")); r.status == http.StatusOK {
		t.Error("wait_end_of_query did not wait")
	}
}

func testExternal(t *testing.T, s *Supervisor) {
	body := "--B\r\nContent-Disposition: form-data; name=\"ext\"; filename=\"e\"\r\n\r\n1\ta\n2\tb\n\r\n--B--\r\n"
	req, _ := http.NewRequest(http.MethodPost, s.URL()+"/?ext_structure=n+UInt8,s+String&"+q("SELECT sum(n), max(s) FROM ext"), strings.NewReader(body))
	req.Header.Set("Content-Type", "multipart/form-data; boundary=B")
	if r := do(t, req); r.body != "3\tb\n" {
		t.Errorf("external table: %d %s", r.status, r.body)
	}
}

func testFiles(t *testing.T, s *Supervisor) {
	for _, query := range []string{
		"SELECT * FROM file('/etc/hostname', 'LineAsString')", "SELECT * FROM `file`('/etc/hostname')", "SELECT file('/etc/hostname')",
		"SELECT * FROM '/etc/hostname'", "SELECT * FROM `/etc/hostname`", "SELECT * FROM default.`/etc/hostname`",
		"CREATE TABLE f (a String) ENGINE = File(CSV, '/tmp/x')", "SELECT * FROM executable('sh', TSV, 'a String')",
		"INSERT INTO FUNCTION file('/tmp/x', CSV) SELECT 1", "INSERT INTO FUNCTION file('/tmp/x', CSV, 'a UInt8') VALUES (1)",
	} {
		if r := post(t, s, "", query); r.status == http.StatusOK {
			t.Errorf("%s: allowed: %q", query, r.body)
		}
	}
}

func testProgress(t *testing.T, s *Supervisor) {
	r := get(t, s, "send_progress_in_http_headers=1&max_threads=1&"+q("SELECT count() FROM numbers(1e8) WHERE sipHash64(number) = 1"))
	if got := r.header.Values("X-ClickHouse-Progress"); len(got) < 2 || !strings.Contains(got[0], `"read_rows":"`) {
		t.Errorf("progress %q", got)
	}
}
