package pdf

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDocument checks what a reader relies on: every offset of the
// cross-reference table points at its object, stream lengths are true, long
// tables repeat their head on each page.
func TestDocument(t *testing.T) {
	d := New("岐黄 测试")
	d.Title("月报：山东省")
	d.Note(strings.Repeat("口径说明。", 60))
	rows := [][]string{{"中医馆", "门诊人次"}}
	for i := range 80 {
		rows = append(rows, []string{fmt.Sprintf("示例馆%d", i), "1,234"})
	}
	d.Table(rows)
	var out bytes.Buffer
	n, err := d.WriteTo(&out)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	b := out.Bytes()
	refs := regexp.MustCompile(`(\d{10}) 00000 n`).FindAllSubmatch(b, -1)
	for i, m := range refs {
		at, _ := strconv.Atoi(string(m[1]))
		if want := fmt.Sprintf("%d 0 obj", i+1); !bytes.HasPrefix(b[at:], []byte(want)) {
			t.Errorf("object %d is not at %d", i+1, at)
		}
	}
	pages := bytes.Count(b, []byte("/Type /Page "))
	if pages < 3 {
		t.Errorf("%d pages", pages)
	}
	if heads := bytes.Count(b, []byte("<"+encode("中医馆")+">")); heads != pages {
		t.Errorf("the head stands on %d of %d pages", heads, pages)
	}
	for _, m := range regexp.MustCompile(`(?s)/Length (\d+) >>\nstream\n(.*?)\nendstream`).FindAllSubmatch(b, -1) {
		if n, _ := strconv.Atoi(string(m[1])); n != len(m[2]) {
			t.Errorf("a stream of %d bytes says %d", len(m[2]), n)
		}
	}
}

func TestEncode(t *testing.T) {
	for in, want := range map[string]string{"A中": "00414E2D", "a\nb": "006130130062", "😀": "3013", "": ""} {
		if got := encode(in); got != want {
			t.Errorf("%q: %s, wanted %s", in, got, want)
		}
	}
	if got := wrap("一二三四五六", 30); len(got) != 2 || got[0] != "一二三" {
		t.Errorf("%q", got)
	}
}
