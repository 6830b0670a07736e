package views

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var testEngine = sync.OnceValues(func() (*fhirpath.Engine, error) {
	m, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	return fhirpath.NewEngine(m), nil
})

func engine(t testing.TB) *fhirpath.Engine {
	t.Helper()
	e, err := testEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOfficialSuite(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "data", "suites", "sql-on-fhir", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	passed, total := 0, 0
	for _, path := range files {
		if strings.Contains(path, "schema") {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Test(src, engine(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Tests {
			total++
			if c.Result.Passed {
				passed++
			} else {
				t.Errorf("%s: %s: %s", filepath.Base(path), c.Name, c.Result.Reason)
			}
		}
	}
	shared.Figure(t, "sql-on-fhir suite", passed, total)
	if passed < 134 {
		t.Errorf("%d cases pass, 134 did before", passed)
	}
}

// TestShippedViews compiles the views of the guide: none may name a path that
// R4 does not know.
func TestShippedViews(t *testing.T) {
	n := 0
	for file, src := range conformance.Views() {
		n++
		v, err := Compile(src, engine(t))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, w := range v.Warnings {
			t.Errorf("%s: %s", file, w)
		}
	}
	if n < 10 {
		t.Errorf("%d views", n)
	}
}

const benchView = `{"resourceType":"ViewDefinition","name":"patient","status":"active","resource":"Patient","select":[{"column":[
 {"name":"id","path":"getResourceKey()","type":"string"},
 {"name":"identifier","path":"identifier.where(system = 'http://example.org/hall/0001').value.first()","type":"string"},
 {"name":"name","path":"name.text.first()","type":"string"},
 {"name":"family","path":"name.family.first()","type":"string"},
 {"name":"gender","path":"gender","type":"code"},
 {"name":"birth_date","path":"birthDate","type":"date"},
 {"name":"phone","path":"telecom.where(system = 'phone').value.first()","type":"string"},
 {"name":"city","path":"address.city.first()","type":"string"},
 {"name":"org","path":"managingOrganization.getReferenceKey(Organization)","type":"string"},
 {"name":"active","path":"active","type":"boolean"}]}]}`

const benchPatient = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"2026-11-01T08:00:00.000+08:00"},
"identifier":[{"use":"official","system":"urn:oid:2.16.156.10011.1.3","value":"370102196403150012"},{"use":"usual","system":"http://example.org/hall/0001","value":"BR000123"}],
"active":true,"name":[{"use":"official","text":"王建国","family":"王","given":["建国"]}],
"telecom":[{"system":"phone","value":"13800000000","use":"mobile"}],"gender":"male","birthDate":"1964-03-15",
"address":[{"use":"home","text":"山东省济南市历下区","city":"济南市","district":"历下区","state":"山东省","country":"CN"}],
"managingOrganization":{"reference":"Organization/0001"}}`

func rowsOf(t testing.TB, view, format string, resources ...string) string {
	t.Helper()
	v, err := Compile([]byte(view), engine(t))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, format, v.Columns(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range resources {
		tree, err := fhir.Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Rows(tree.Root(), w.Write); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const smallView = `{"resource":"Patient","select":[{"column":[{"name":"z","path":"id"},{"name":"a","path":"name.given","collection":true},
 {"name":"n","path":"multipleBirth.ofType(integer)"},{"name":"t","path":"name.text.first()"}]}]}`

func TestWriters_ok(t *testing.T) {
	one := `{"resourceType":"Patient","id":"1","name":[{"text":"a,\"b\"","given":["x","y"]}],"multipleBirthInteger":2}`
	two := `{"resourceType":"Patient","id":"2"}`
	other := `{"resourceType":"Basic","id":"3"}`
	for format, want := range map[string]string{
		"csv":    "z,a,n,t\n1,\"[\"\"x\"\",\"\"y\"\"]\",2,\"a,\"\"b\"\"\"\n2,[],,\n",
		"ndjson": `{"z":"1","a":["x","y"],"n":2,"t":"a,\"b\""}` + "\n" + `{"z":"2","a":[],"n":null,"t":null}` + "\n",
		"json":   `[{"z":"1","a":["x","y"],"n":2,"t":"a,\"b\""},` + "\n " + `{"z":"2","a":[],"n":null,"t":null}]` + "\n",
	} {
		if got := rowsOf(t, smallView, format, one, two, other); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", format, got, want)
		}
	}
	if got := rowsOf(t, smallView, "json"); got != "[]\n" {
		t.Errorf("no rows: %q", got)
	}
}

func TestParquet_ok(t *testing.T) {
	raw := rowsOf(t, smallView, "parquet",
		`{"resourceType":"Patient","id":"1","name":[{"text":"王","given":["x","y"]}],"multipleBirthInteger":2}`, `{"resourceType":"Patient","id":"2"}`)
	f, err := parquet.OpenFile(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, fd := range f.Schema().Fields() {
		names = append(names, fd.Name())
	}
	if strings.Join(names, " ") != "z a n t" {
		t.Errorf("columns %v", names)
	}
	rows := make([]parquet.Row, 3)
	r := f.RowGroups()[0].Rows()
	defer r.Close()
	n, _ := r.ReadRows(rows)
	if n != 2 || len(rows[0]) != 5 || rows[0][4].String() != "王" || rows[0][3].Int64() != 2 || !rows[1][2].IsNull() {
		t.Errorf("%d rows: %v", n, rows)
	}
}

func TestCompile_bad(t *testing.T) {
	for _, c := range []struct{ view, want string }{
		{`{"resource":"Patient","select":[{"column":[{"name":"a","path":"id"},{"name":"a","path":"id"}]}]}`, "twice"},
		{`{"resource":"Patint","select":[]}`, "no resource type"},
		{`{"resource":"Patient","select":[{"column":[{"name":"a b","path":"id"}]}]}`, "no column name"},
		{`{"resource":"Patient","select":[{"column":[{"name":"a","path":"name."}]}]}`, "column a"},
		{`{"resource":"Patient","select":[{"forEach":"name","repeat":["x"],"column":[{"name":"a","path":"id"}]}]}`, "at most one"},
		{`{"resource":"Patient","select":[{"column":[{"name":"a","path":"%x"}]}]}`, "unknown variable"},
		{`[]`, "not a ViewDefinition"},
		{`{`, "JSON"},
	} {
		if _, err := Compile([]byte(c.view), engine(t)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.view, err, c.want)
		}
	}
}

func TestRows_bad(t *testing.T) {
	tree, _ := fhir.Parse([]byte(benchPatient))
	for _, sel := range []string{
		`{"repeat":["$this"],"column":[{"name":"a","path":"id"}]}`,
		`{"repeat":["$this","$this"],"select":[{"repeat":["$this","$this"],"select":[{"forEach":"nothing","column":[{"name":"a","path":"id"}]}]}]}`,
		`{"column":[{"name":"a","path":"identifier.value"}]}`,
	} {
		v, err := Compile([]byte(`{"resource":"Patient","select":[`+sel+`]}`), engine(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Rows(tree.Root(), func([]Cell) error { return nil }); err == nil {
			t.Errorf("%s ended well", sel)
		}
	}
}

func TestCellTime(t *testing.T) {
	v, err := Compile([]byte(`{"resource":"Patient","select":[{"column":[{"name":"b","path":"birthDate"}]}]}`), engine(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Columns()[0].ClickHouse(); got != "Nullable(Date32)" {
		t.Errorf("inferred %s", got)
	}
	tree, _ := fhir.Parse([]byte(benchPatient))
	_ = v.Rows(tree.Root(), func(row []Cell) error {
		got, err := row[0].Time(time.FixedZone("", 8*3600))
		if err != nil || got.Format(time.RFC3339) != "1964-03-14T16:00:00Z" {
			t.Errorf("%v %v", got, err)
		}
		return nil
	})
}

func BenchmarkRows(b *testing.B) {
	v, err := Compile([]byte(benchView), engine(b))
	if err != nil {
		b.Fatal(err)
	}
	src := []byte(benchPatient)
	var p fhir.Parser
	b.Run("parse+rows", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tree, err := p.Parse(src)
			if err != nil {
				b.Fatal(err)
			}
			if err := v.Rows(tree.Root(), func([]Cell) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	w, err := NewWriter(discard{}, "ndjson", v.Columns(), false)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("parse+ndjson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tree, err := p.Parse(src)
			if err != nil {
				b.Fatal(err)
			}
			if err := v.Rows(tree.Root(), w.Write); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
