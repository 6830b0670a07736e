package extract

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// answers is a warehouse of visits and consents.
type answers struct {
	visits   [][]any
	consents [][2]string
}

func (a answers) Query(_ context.Context, sql string, _ map[string]string, fn func(func(...any) error) error) error {
	rows := a.visits
	if strings.Contains(sql, "qihuang.consent") {
		rows = nil
		for _, c := range a.consents {
			rows = append(rows, []any{c[0], c[1]})
		}
	}
	for _, r := range rows {
		if err := fn(func(dest ...any) error {
			for i := range dest {
				switch d := dest[i].(type) {
				case *string:
					*d = r[i].(string)
				case *time.Time:
					*d = r[i].(time.Time)
				default:
					return fmt.Errorf("column %d", i)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

var day = time.Date(2026, 9, 10, 0, 0, 0, 0, time.UTC)

func visit(i int, gender, area, disease string, born int) []any {
	return []any{fmt.Sprintf("enc-%d", i), fmt.Sprintf("pat-%d", i), area, day, "1", "03", gender, time.Date(born, 3, 4, 0, 0, 0, 0, time.UTC), disease, "肝郁证", "F51", "逍遥散", "柴胡、当归", "7", "52.5"}
}

func cohort() answers {
	var a answers
	for i := range 60 {
		a.visits = append(a.visits, visit(i, []string{"male", "female"}[i%2], "370102000001", "不寐", 1960+i%10))
	}
	a.visits = append(a.visits, visit(900, "male", "371702000009", "奇病", 1921)) // alone in every way
	a.consents = [][2]string{{"pat-3", "deny"}, {"pat-4", "permit"}, {"pat-5", "permit"}}
	return a
}

func config() Config {
	c := Default()
	c.Key = []byte("0123456789abcdef0123456789abcdef")
	return c
}

func TestMake(t *testing.T) {
	out, err := Make(t.Context(), cohort(), measures.Scope{From: day, To: day.AddDate(0, 0, 1)}, config(), day)
	if err != nil {
		t.Fatal(err)
	}
	r := out.Report
	if r.Visits != 61 || r.Refused != 1 || r.Suppressed != 1 || r.Rows != 59 || r.Smallest < r.K || r.People != 59 {
		t.Errorf("report %+v", r)
	}
	people := map[string]map[string]bool{}
	for _, row := range out.Rows {
		key := row.Gender + row.AgeBand + row.Area
		if people[key] == nil {
			people[key] = map[string]bool{}
		}
		people[key][row.Person] = true
		if row.Date == day.Format(time.DateOnly) || strings.HasPrefix(row.Person, "pat") || row.Disease == "奇病" {
			t.Errorf("row %+v", row)
		}
		if at, err := time.Parse(time.DateOnly, row.Date); err != nil || at.Sub(day).Abs() > 30*24*time.Hour {
			t.Errorf("shift of %s", row.Date)
		}
	}
	for key, p := range people {
		if len(p) < 5 {
			t.Errorf("class %s has %d people", key, len(p))
		}
	}
	again, err := Make(t.Context(), cohort(), measures.Scope{From: day, To: day.AddDate(0, 0, 1)}, config(), day)
	if err != nil || again.Rows[0] != out.Rows[0] {
		t.Errorf("the same key must give the same extract: %v", err)
	}
	var zipped bytes.Buffer
	if err := out.WriteZip(&zipped); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
	if err != nil || len(z.File) != 3 {
		t.Fatalf("archive: %v", err)
	}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(in)
		for _, secret := range []string{"pat-", "enc-", "1960", "奇病", "000001"} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s tells %q", f.Name, secret)
			}
		}
	}
}

func TestConsent(t *testing.T) {
	cfg := config()
	cfg.Consent, cfg.K, cfg.Small = "opt-in", 2, 1
	out, err := Make(t.Context(), cohort(), measures.Scope{From: day, To: day.AddDate(0, 0, 1)}, cfg, day)
	if err != nil || out.Report.Refused != 59 || out.Report.Rows > 2 {
		t.Errorf("only those who agreed: %+v, %v", out.Report, err)
	}
	for _, bad := range []func(*Config){func(c *Config) { c.K = 1 }, func(c *Config) { c.Shift = 0 }, func(c *Config) { c.Consent = "ask" }, func(c *Config) { c.Key = nil }, func(c *Config) { c.Small = 0 }} {
		cfg := config()
		bad(&cfg)
		if _, err := Make(t.Context(), cohort(), measures.Scope{}, cfg, day); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestSmallCells(t *testing.T) {
	out, err := Make(t.Context(), cohort(), measures.Scope{From: day, To: day.AddDate(0, 0, 1)}, config(), day)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range out.Cells {
		if c.People >= 0 && c.People < 10 {
			t.Errorf("cell %+v", c)
		}
	}
}
