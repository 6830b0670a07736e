package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

func open(t testing.TB, name string, data []byte, memo []byte) (Reader, error) {
	t.Helper()
	s := Source{Name: name, Data: bytes.NewReader(data), Size: int64(len(data))}
	if memo != nil {
		s.Memo = bytes.NewReader(memo)
	}
	return Open(s)
}

// all reads a table: its rows joined by "/", and its row errors.
func all(t testing.TB, r Reader) (rows []string, bad []string) {
	t.Helper()
	defer r.Close()
	for {
		row, err := r.Next()
		var broken *RowError
		switch {
		case err == io.EOF:
			return rows, bad
		case errors.As(err, &broken):
			bad = append(bad, broken.Error())
		case err != nil:
			t.Fatal(err)
		default:
			rows = append(rows, fmt.Sprint(row.Number, " ", strings.Join(row.Values, "/")))
		}
	}
}

func gbk(s string) []byte {
	b, _ := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
	return b
}

func TestCSV_ok(t *testing.T) {
	want := []string{"2 1/张三", "3 2/李,四"}
	for name, data := range map[string][]byte{
		"comma":     []byte("ID,XM\n1,张三\n2,\"李,四\"\n"),
		"bar gbk":   gbk("ID|XM\r\n1|张三\r\n2|李,四\r\n"),
		"tab":       []byte("ID\tXM\n1\t张三\n2\t李,四"),
		"semicolon": []byte("ID;XM\n1; 张三 \n2;李,四\n\x1a"),
		"bom":       []byte("\xef\xbb\xbfID,XM\n1,张三\n2,\"李,四\"\n"),
		"surplus":   []byte("ID,XM,\n1,张三,\n2,\"李,四\",,,\n"),
	} {
		r, err := open(t, "x.csv", data, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, bad := all(t, r); fmt.Sprint(got) != fmt.Sprint(want) || bad != nil {
			t.Errorf("%s: %q %q", name, got, bad)
		}
	}
}

func TestCSVRowErrorsTellThePlace_bad(t *testing.T) {
	r, err := open(t, "x.csv", []byte("ID,XM\n1,a\n2,b,c\n3\n4,d\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, bad := all(t, r)
	if fmt.Sprint(rows) != "[2 1/a 4 3/ 5 4/d]" || fmt.Sprint(bad) != "[第 3 行：有 3 个值，表头只有 2 列]" {
		t.Errorf("%q %q", rows, bad)
	}
	// A character that is broken beyond what decided the character set.
	long := "ID,XM\n" + strings.Repeat("1,张三\n", 40_000) + "2,\xff\xff\n3,李四\n"
	if r, err = open(t, "x.csv", []byte(long), nil); err != nil {
		t.Fatal(err)
	}
	if rows, bad = all(t, r); len(rows) != 40_001 || len(bad) != 1 || !strings.Contains(bad[0], "第 40002 行 XM 列") {
		t.Errorf("%d rows, %q", len(rows), bad)
	}
}

func TestOpen_bad(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		kind fault.Kind
	}{
		"empty": {"", fault.Invalid}, "blank": {" \n", fault.Invalid}, "xls": {"\xd0\xcf\x11\xe0rest", fault.Unsupported},
		"zip": {"PK\x03\x04nonsense", fault.Invalid}, "charset": {"ID,XM\n1,\xff\xff\x80\n", fault.Invalid}, "twice": {"A,a\n1,2\n", fault.Invalid},
		"binary": {"ID\x00\x01\x02\x03", fault.Unsupported},
	} {
		if _, err := open(t, "x", []byte(c.data), nil); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRowGet(t *testing.T) {
	r, _ := open(t, "x.csv", []byte("BRID,brxm\n1,张三\n"), nil)
	row, err := r.Next()
	if err != nil || row.Get("brid") != "1" || row.Get("BRXM") != "张三" || row.Get("SFZH") != "" || row.Has("SFZH") {
		t.Errorf("%+v %v", row, err)
	}
}

// dbf writes a table: each field is name, kind, size, decimals.
func dbf(version byte, fields [][4]any, records ...string) []byte {
	size := 1
	var desc bytes.Buffer
	for _, f := range fields {
		var d [32]byte
		copy(d[:11], f[0].(string))
		d[11], d[16], d[17] = f[1].(string)[0], byte(f[2].(int)), byte(f[3].(int))
		desc.Write(d[:])
		size += f[2].(int) + f[3].(int)*256*b2i(f[1] == "C")
	}
	desc.WriteByte('\r')
	head := make([]byte, 32)
	head[0], head[1], head[2], head[3] = version, 126, 10, 31
	binary.LittleEndian.PutUint32(head[4:], uint32(len(records)))
	binary.LittleEndian.PutUint16(head[8:], uint16(32+desc.Len()))
	binary.LittleEndian.PutUint16(head[10:], uint16(size))
	out := append(head, desc.Bytes()...)
	for _, r := range records {
		rec := append([]byte(r), bytes.Repeat([]byte{' '}, max(0, size-len(r)))...)
		out = append(out, rec[:size]...)
	}
	return append(out, 0x1a)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestDBFTypes_ok(t *testing.T) {
	fields := [][4]any{{"XM", "C", 10, 0}, {"JE", "N", 8, 2}, {"RQ", "D", 8, 0}, {"BZ", "L", 1, 0}, {"N4", "I", 4, 0}, {"Y8", "Y", 8, 0}, {"T8", "T", 8, 0}}
	var i4 [4]byte
	binary.LittleEndian.PutUint32(i4[:], uint32(0xffffffff))
	var y8, t8 [8]byte
	binary.LittleEndian.PutUint64(y8[:], 212600)
	binary.LittleEndian.PutUint32(t8[:], 2461326)
	binary.LittleEndian.PutUint32(t8[4:], 30665000)
	record := " " + string(gbk("张三")) + "      " + "   21.26" + "20261012" + "T" + string(i4[:]) + string(y8[:]) + string(t8[:])
	r, err := open(t, "x.dbf", dbf(0x30, fields, record, "*"+record[1:], " "), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, bad := all(t, r)
	if len(rows) != 1 || bad != nil || rows[0] != "2 张三/21.26/2026-10-12/true/-1/21.26/2026-10-12 08:31:05" {
		t.Errorf("%q %q", rows, bad)
	}
}

func TestDBFMemo_ok(t *testing.T) {
	fields := [][4]any{{"ID", "N", 2, 0}, {"BZ", "M", 10, 0}}
	note := gbk("舌淡红，苔薄白")
	dbt3 := append(append(make([]byte, 512), note...), 0x1a, 0x1a)
	dbt4 := make([]byte, 512)
	binary.LittleEndian.PutUint16(dbt4[20:], 512)
	dbt4 = append(dbt4, 0xff, 0xff, 8, 0, byte(len(note)+8), 0, 0, 0)
	dbt4 = append(dbt4, note...)
	fpt := make([]byte, 64)
	binary.BigEndian.PutUint16(fpt[6:], 64)
	fpt = append(fpt, 0, 0, 0, 1, 0, 0, 0, byte(len(note)))
	fpt = append(fpt, note...)
	for name, c := range map[string]struct {
		version byte
		memo    []byte
	}{"dbase3": {0x83, dbt3}, "dbase4": {0x8b, dbt4}, "foxpro": {0xf5, fpt}} {
		r, err := open(t, "x.dbf", dbf(c.version, fields, "  1         1", "  2          "), c.memo)
		if err != nil {
			t.Fatal(err)
		}
		if rows, bad := all(t, r); fmt.Sprint(rows) != "[2 1/舌淡红，苔薄白 3 2/]" || bad != nil {
			t.Errorf("%s: %q %q", name, rows, bad)
		}
	}
	r, _ := open(t, "x.dbf", dbf(0x83, fields, "  1         9", "  2          "), nil)
	if rows, bad := all(t, r); len(rows) != 1 || len(bad) != 1 || !strings.Contains(bad[0], "第 2 行 BZ 列") {
		t.Errorf("no memo file: %q %q", rows, bad)
	}
}

func TestDBFHalfAFile_bad(t *testing.T) {
	data := dbf(0x03, [][4]any{{"ID", "C", 4, 0}}, " 0001", " 0002", " 0003")
	r, err := open(t, "x.dbf", data[:len(data)-4], nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, bad := all(t, r)
	if len(rows) != 2 || len(bad) != 1 || !strings.Contains(bad[0], "还应有 1 条") {
		t.Errorf("%q %q", rows, bad)
	}
	r, _ = open(t, "x.dbf", dbf(0x03, [][4]any{{"RQ", "D", 8, 0}, {"JE", "N", 4, 0}}, " 20261399   1", " 20261012  xx", " 20261012   3"), nil)
	if rows, bad = all(t, r); len(rows) != 1 || len(bad) != 2 {
		t.Errorf("%q %q", rows, bad)
	}
}

func TestXLSX_ok(t *testing.T) {
	f := excelize.NewFile()
	for i, row := range [][]any{nil, {"ID", "XM", "JE"}, {1, "张三", 21.26}, nil, {"2", "李四"}} {
		if row != nil {
			if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
				t.Fatal(err)
			}
		}
	}
	buf, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	r, err := open(t, "x.xlsx", buf.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if rows, bad := all(t, r); fmt.Sprint(rows) != "[3 1/张三/21.26 5 2/李四/]" || bad != nil {
		t.Errorf("%q %q", rows, bad)
	}
	if _, err := open(t, "x.xlsx", buf.Bytes()[:buf.Len()/2], nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("half a file: %v", err)
	}
}

// TestScenario reads every table of the shared scenario; the GBK export must
// hold the rows of the UTF-8 one.
func TestScenario(t *testing.T) {
	base := filepath.Join(shared.Dir(t), "data/tcm/samples")
	read := func(name string) []string {
		b, err := os.ReadFile(filepath.Join(base, name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := open(t, name, b, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		rows, bad := all(t, r)
		if bad != nil || len(rows) == 0 {
			t.Errorf("%s: %d rows, %q", name, len(rows), bad)
		}
		return rows
	}
	for name, n := range map[string]int{"his_bsoft/MS_BRDA.csv": 8, "his_bsoft/MS_CF01.csv": 11, "his_bsoft/MS_CF02.csv": 71, "his_bsoft/MS_BCJL.csv": 11,
		"his_bsoft/MS_BRZD.csv": 22, "his_bsoft/YS_MZ_JZLS.csv": 11, "xnh/bcmx201610.dbf": 8} {
		if rows := read(name); len(rows) != n {
			t.Errorf("%s: %d rows, want %d", name, len(rows), n)
		}
	}
	if a, b := read("his_bsoft/MS_CF02.csv"), read("his_bsoft/MS_CF02.gbk.csv"); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("the GBK export differs")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("ID,XM\n1,\"a\nb\"\n"), []byte{})
	f.Add(dbf(0x83, [][4]any{{"ID", "N", 2, 0}, {"BZ", "M", 10, 0}}, "  1         1"), append(make([]byte, 512), "memo\x1a\x1a"...))
	f.Add(dbf(0x30, [][4]any{{"T", "T", 8, 0}, {"I", "I", 4, 0}}, " 123456781234"), []byte{})
	f.Fuzz(func(t *testing.T, data, memo []byte) {
		r, err := open(t, "x", data, memo)
		if err != nil {
			return
		}
		defer r.Close()
		for range 10_000 {
			row, err := r.Next()
			var broken *RowError
			if err != nil && !errors.As(err, &broken) {
				return
			}
			if err == nil && len(row.Values) != len(r.Columns()) {
				t.Fatalf("%d values, %d columns", len(row.Values), len(r.Columns()))
			}
		}
	})
}

func BenchmarkCSV(b *testing.B) {
	data := gbk("ID|XM|JE\n" + strings.Repeat("100001|张三|21.26\n", 10_000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r, err := open(b, "x.csv", data, nil)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
