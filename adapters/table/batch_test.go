package table

import (
	"slices"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func TestBatch_ok(t *testing.T) {
	b := &Batch{Table: "MS_CF01", Columns: []string{"CFSB", "BRXM", "ZFPB"}}
	b.Add(2, []string{"880001", `张"三`, ""})
	b.Add(3, []string{"880002", "", "0"})
	back, err := ReadBatch(b.JSON())
	if err != nil {
		t.Fatal(err)
	}
	r := back.Row(1)
	if back.Table != "MS_CF01" || len(back.Rows) != 2 || back.Row(0).Get("brxm") != `张"三` || r.Get("ZFPB") != "0" || r.Get("BRXM") != "" || r.Number != 3 {
		t.Errorf("%+v", back)
	}
	own, err := ReadBatch([]byte(`{"table":"T","rows":[{"A":1.50},{"B":null,"C":true}]}`))
	if err != nil || own.Row(0).Get("A") != "1.50" || own.Row(1).Get("C") != "true" || !slices.Equal(own.Columns, []string{"A", "B", "C"}) {
		t.Errorf("%+v, %v", own, err)
	}
}

func TestBatch_bad(t *testing.T) {
	for text, place := range map[string]string{
		`{"rows":[]}`:                        "table",
		`{"table":"T"}`:                      "rows",
		`{"table":"T","rows":[1]}`:           "rows[0]",
		`{"table":"T","rows":[{},{"A":[]}]}`: "rows[1].A",
	} {
		_, err := ReadBatch([]byte(text))
		if is := fault.IssuesOf(err); !fault.Is(err, fault.Invalid) || len(is) != 1 || is[0].Expression != place {
			t.Errorf("%s: %v", text, err)
		}
	}
}
