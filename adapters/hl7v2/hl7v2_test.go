package hl7v2

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

const adt = "MSH|^~\\&|HIS|370000000001|HUB|TCM|20261012083105||ADT^A04^ADT_A01|443001A|P|2.5.1|||||CHN|UNICODE UTF-8\r" +
	"PID|1||100001^^^370000000001^PI~379901195603120010^^^&2.16.156.10011.1.3&ISO^NI||张^三||19560312|M|||示例县\\F\\张庄镇\\.br\\1号||\"\"\r" +
	"DG1|1||J00.x00^急性上呼吸道感染^I10\rDG1|2||A01.01.01^感冒^GB15657\r"

func parse(t testing.TB, s string) *Message {
	t.Helper()
	m, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGet_ok(t *testing.T) {
	m := parse(t, adt)
	for path, want := range map[string]string{
		"MSH-1": "|", "MSH-2": `^~\&`, "MSH-3": "HIS", "MSH-9.2": "A04", "MSH-10": "443001A", "MSH-18": "UNICODE UTF-8",
		"PID-3": "100001", "PID-3.5": "PI", "PID-3(1)": "379901195603120010", "PID-3(1).4.2": "2.16.156.10011.1.3", "PID-3(1).5": "NI",
		"PID-5.2": "三", "PID-11": "示例县|张庄镇\n1号", "PID-13": "", "DG1(1)-3.2": "感冒", "DG1(2)-3": "", "ZZZ-1": "", "PID-99": "",
		"PID-3(9)": "", "PID-5.9": "",
	} {
		if got := m.Get(path); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	pid, _ := m.Segment("PID", 0)
	if !pid.Field(13).Null() || pid.Field(12).Null() || !pid.Field(12).Empty() {
		t.Error("null and empty differ")
	}
	if code, event, structure := m.Type(); code != "ADT" || event != "A04" || structure != "ADT_A01" {
		t.Error(code, event, structure)
	}
}

func TestParseIsLenient_ok(t *testing.T) {
	for name, s := range map[string]string{
		"line feeds": strings.ReplaceAll(adt, "\r", "\n"), "both": strings.ReplaceAll(adt, "\r", "\r\n"), "no end": strings.TrimRight(adt, "\r"),
		"bom": "\ufeff" + adt, "frame left over": "\x0b" + adt + "\x1c\r", "blank lines": strings.ReplaceAll(adt, "\r", "\r\r"),
	} {
		if m, err := Parse([]byte(s)); err != nil || len(m.Segments) != 4 {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := parse(t, "MSH#*!?%#A*B#\rPID###1*2!3")
	if m.Get("MSH-3.2") != "B" || m.Get("PID-3(1)") != "3" {
		t.Error("own delimiters")
	}
}

func TestParse_bad(t *testing.T) {
	for name, s := range map[string]string{
		"empty": "", "no header": "PID|1", "short": "MSH", "json": "{}", "bad segment": "MSH|^~\\&|a\rhello world", "twice": "MSH|^^\\&|a",
		"letter": "MSHA^~\\&", "lower": "MSH|^~\\&\rpid|1",
	} {
		if _, err := Parse([]byte(s)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPath_bad(t *testing.T) {
	for _, s := range []string{"", "PID-", "PID-0", "P-1", "PID-1.2.3.4", "PID(x)-1", "PID-1(2", "PID-1.2(3)", "PID-a"} {
		if _, err := ParsePath(s); err == nil {
			t.Errorf("%q taken", s)
		}
	}
}

func TestDecodeByMSH18(t *testing.T) {
	enc := simplifiedchinese.GB18030.NewEncoder()
	for _, declared := range []string{"GBK", "GB18030", "GB 18030-2000", ""} {
		raw, _ := enc.String(strings.Replace(adt, "UNICODE UTF-8", declared, 1))
		m, set, err := Decode([]byte(raw))
		if err != nil || set != "GB18030" || m.Get("PID-5.2") != "三" {
			t.Errorf("%s: %s %v", declared, set, err)
		}
	}
	if m, set, err := Decode([]byte(adt)); err != nil || set != "UTF-8" || m.Get("PID-5") != "张" {
		t.Errorf("%s %v", set, err)
	}
}

func TestEscapeRoundTrip(t *testing.T) {
	d := Standard()
	for _, s := range []string{"", "a|b^c~d\\e&f", "二\n行", "tab\there", "\\F\\", "普通"} {
		if got := unescape(d.escape(s), &d); got != s {
			t.Errorf("%q came back %q", s, got)
		}
	}
	for in, want := range map[string]string{`\X41\`: "A", `a\H\b\N\c`: "abc", `\E\F\E\`: `\F\`, `open\F`: `open\F`, `\Zzz\x`: `\Zzz\x`, `a\.sp2\b`: "a\n\nb"} {
		if got := unescape(in, &d); got != want {
			t.Errorf("%s = %q, want %q", in, got, want)
		}
	}
}

func TestBuild(t *testing.T) {
	m := parse(t, adt)
	pid, _ := m.Segment("PID", 0)
	out := NewBuilder(Standard()).Header("HUB", "", "HIS").Segment("PID", "1", "", pid.Field(3), "", Parts{"张|", "三", ""}, "", "").
		Segment("NTE", Repeats{{"a", "b"}, {"c"}}).Bytes()
	const want = "MSH|^~\\&|HUB||HIS\rPID|1||100001^^^370000000001^PI~379901195603120010^^^&2.16.156.10011.1.3&ISO^NI||张\\F\\^三\rNTE|a^b~c\r"
	if string(out) != want {
		t.Errorf("%q", out)
	}
	other := NewBuilder(Delimiters{'#', '*', '!', '?', '%'}).Header(m.Segments[0].Field(9)).Bytes()
	if string(other) != "MSH#*!?%#ADT*A04*ADT_A01\r" {
		t.Errorf("%q", other)
	}
}

func TestAck(t *testing.T) {
	at := time.Date(2026, 10, 12, 8, 0, 0, 0, time.FixedZone("", 8*3600))
	got := string(Ack(parse(t, adt), AA, nil, "1", "UTF-8", at))
	const want = "MSH|^~\\&|HUB|TCM|HIS|370000000001|20261012080000+0800||ACK^A04^ACK|1|P|2.5.1||||||UNICODE UTF-8\rMSA|AA|443001A\r"
	if got != want {
		t.Errorf("%q", got)
	}
	err := fault.New(fault.Invalid, "x").With(fault.Issue{Code: "required", Text: "缺少患者编号", Expression: "PID-3.1"})
	got = string(Ack(parse(t, adt), AR, err, "1", "GB18030", at))
	if !strings.Contains(got, "MSA|AR|443001A|缺少患者编号\rERR||PID^1^3^1^1|101^^HL70357|E||||缺少患者编号\r") || !strings.Contains(got, "|GB 18030-2000\r") {
		t.Errorf("%q", got)
	}
	if m, err := Parse(Ack(nil, AR, errors.New("坏"), "1", "", at)); err != nil || m.Get("MSA-1") != AR {
		t.Error(err)
	}
}

func TestMode(t *testing.T) {
	for _, c := range []struct {
		accept, app string
		ok, failed  bool
		code        string
	}{{"", "", true, true, AA}, {"AL", "NE", true, true, CA}, {"NE", "NE", false, false, CA}, {"ER", "", false, true, CA}, {"SU", "", true, false, CA}} {
		m := parse(t, "MSH|^~\\&|a||||||ADT^A04|1|P|2.5|||"+c.accept+"|"+c.app)
		if m.Mode().Wants(true) != c.ok || m.Mode().Wants(false) != c.failed || m.Mode().Code(nil) != c.code {
			t.Errorf("%+v: %+v", c, m.Mode())
		}
	}
	m := Mode{}
	if m.Code(fault.New(fault.Invalid, "")) != AR || m.Code(fault.New(fault.Unavailable, "")) != AE || m.Code(errors.New("")) != AE {
		t.Error("codes")
	}
}

// TestPublicMessages parses the public examples: none may fail, and writing each
// field back gives the same segment.
func TestPublicMessages(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "data/suites/hl7v2/*.hl7"))
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := Decode(raw)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		if code, event, _ := m.Type(); code == "" || event == "" {
			t.Errorf("%s: no type", filepath.Base(f))
		}
		for _, s := range m.Segments[1:] {
			fields := make([]any, s.Len())
			for i := range fields {
				fields[i] = s.Field(i + 1)
			}
			line := strings.TrimRight(string(NewBuilder(m.Delimiters).Segment(s.Name, fields...).Bytes()), "\r")
			if !strings.Contains(string(raw), line) {
				t.Errorf("%s: %s is not what was sent", filepath.Base(f), line)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(adt), "PID-3(1).4.2")
	f.Add([]byte("MSH#*!?%#A"), "MSH-2")
	f.Fuzz(func(t *testing.T, b []byte, path string) {
		m, _, err := Decode(b)
		if err != nil {
			return
		}
		_ = m.Get(path)
		for _, s := range m.Segments {
			for i := range s.Len() + 2 {
				v := s.Field(i)
				_ = v.Text()
				_ = v.Whole()
				for _, r := range v.Repetitions() {
					_ = r.Component(2).Subcomponent(2).Text()
				}
			}
		}
		if _, err := Parse(Ack(m, AA, nil, "x", "UTF-8", time.Unix(0, 0))); err != nil {
			t.Fatalf("our own answer is unreadable: %v", err)
		}
	})
}

// FuzzTree: whatever parses has a tree that is JSON, and all its text is in it.
func FuzzTree(f *testing.F) {
	f.Add("MSH|^~\\&|A|B|||||ORU^R01|1|P|2.5\rPID|1||1^^^H&1.2&ISO~2\rORC|RE\rOBR|1\rOBX|1|ST|a||x\\T\\y\\X41\\\rNTE|1||n")
	f.Add("MSH|^~\\&|||||||OUL^R22\rSPM|1\rOBR|1\rORC|1")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse([]byte(text))
		if err != nil {
			return
		}
		tree := m.AppendTree(nil)
		if utf8.ValidString(text) && !json.Valid(tree) {
			t.Errorf("%q: %s", text, tree)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := []byte(adt)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if m, _, err := Decode(raw); err != nil || m.Get("PID-3") == "" {
			b.Fatal(err)
		}
	}
}
