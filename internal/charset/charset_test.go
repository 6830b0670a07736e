package charset

import (
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func gbk(s string) []byte {
	b, _ := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
	return b
}

func TestDecode_ok(t *testing.T) {
	utf16, _ := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes([]byte("张三"))
	for name, c := range map[string]struct {
		body        []byte
		declared    string
		text, found string
	}{
		"ascii":                  {[]byte("abc"), "gbk", "abc", UTF8},
		"utf8":                   {[]byte("张三"), "", "张三", UTF8},
		"utf8 declared gbk":      {[]byte("张三"), "GBK", "张三", UTF8},
		"utf8 bom":               {[]byte("\xef\xbb\xbf张三"), "", "张三", UTF8},
		"gbk declared":           {gbk("张三,甘草"), "GB 18030-2000", "张三,甘草", GB18030},
		"gbk undeclared":         {gbk("张三,甘草"), "", "张三,甘草", GB18030},
		"gbk declared utf8":      {gbk("炙甘草"), "utf-8", "炙甘草", GB18030},
		"gbk that looks as utf8": {[]byte{0xc4, 0xa7}, "gbk", "魔", GB18030},
		"latin undeclared":       {[]byte("é"), "", "é", UTF8},
		"utf16":                  {utf16, "", "张三", UTF16},
	} {
		text, found, err := Decode(c.body, c.declared)
		if err != nil || string(text) != c.text || found != c.found {
			t.Errorf("%s: %q %s %v", name, text, found, err)
		}
	}
}

func TestDecode_bad(t *testing.T) {
	_, _, err := Decode([]byte("ab\ncd\xff\xff\x80"), "")
	if !fault.Is(err, fault.Invalid) {
		t.Fatalf("err = %v", err)
	}
	if is := fault.IssuesOf(err)[0]; is.Line != 2 || is.Col != 3 {
		t.Errorf("place = %d:%d", is.Line, is.Col)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("张三"), "gbk")
	f.Add(gbk("张三"), "")
	f.Fuzz(func(t *testing.T, b []byte, declared string) {
		if text, found, err := Decode(b, declared); err == nil && found == UTF8 && len(text) > len(b) {
			t.Fatal("UTF-8 grew")
		}
	})
}
