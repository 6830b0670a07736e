package xmlread

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// dump writes the tokens of a document in one line.
func dump(data []byte, limits Limits) (string, error) {
	r, err := New(data, limits)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for {
		t, err := r.Next()
		if err != nil {
			return b.String(), err
		}
		switch t.Kind {
		case EOF:
			return b.String(), nil
		case Start:
			fmt.Fprintf(&b, "<%s|%s", t.Name.Space, t.Name.Local)
			for _, a := range t.Attrs {
				fmt.Fprintf(&b, " %s|%s=%q", a.Space, a.Local, a.Value)
			}
			b.WriteString(">")
		case End:
			fmt.Fprintf(&b, "</%s>", t.Name.Local)
		case Text:
			fmt.Fprintf(&b, "%q", t.Text)
		case Comment:
			fmt.Fprintf(&b, "!%q", t.Text)
		}
	}
}

func TestReader_ok(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`<a/>`, `<|a></a>`},
		{"\xEF\xBB\xBF<?xml version='1.0' encoding=\"utf-8\"?>\n<a>x</a>\n<!-- end -->\n", `<|a>"x"</a>`},
		{`<a b="1" c='&lt;&#65;&#x4e2d;'>t&amp;u</a>`, `<|a |b="1" |c="<A中">"t&u"</a>`},
		{`<p:a xmlns:p="urn:p" xmlns="urn:d" p:x="1" y="2"><b/></p:a>`, `<urn:p|a xmlns|p="urn:p" xmlns|="urn:d" urn:p|x="1" |y="2"><urn:d|b></b></a>`},
		{`<a xmlns="u"><b xmlns=""/><c/></a>`, `<u|a xmlns|="u"><|b xmlns|=""></b><u|c></c></a>`},
		{"<a><![CDATA[<&>]]></a>", `<|a>"<&>"</a>`},
		{"<a b='x\ny\tz'>1\r\n2\r3</a>", `<|a |b="x y z">"1\n2\n3"</a>`},
		{"<a b='x&#10;y'/>", `<|a |b="x\ny"></a>`},
		{"<患者 姓名='李'>中</患者>", `<|患者 |姓名="李">"中"</患者>`},
		{"<a><!--c--><?pi x?></a>", `<|a>!"c"</a>`},
	} {
		got, err := dump([]byte(c.in), Default())
		if err != nil || got != c.want {
			t.Errorf("%s\n got %s %v\nwant %s", c.in, got, err, c.want)
		}
	}
}

func TestReader_bad(t *testing.T) {
	small := Limits{Size: 100, Depth: 3, Attributes: 2, Tokens: 8}
	for _, c := range []struct {
		in        string
		kind      fault.Kind
		line, col int
	}{
		{``, fault.Invalid, 1, 1},
		{`<a>`, fault.Invalid, 1, 4},
		{`<a></b>`, fault.Invalid, 1, 4},
		{"<a>\n  <b x=1/></a>", fault.Invalid, 2, 8},
		{`<a/><b/>`, fault.Invalid, 1, 5},
		{`<a/>x`, fault.Invalid, 1, 5},
		{`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, fault.Invalid, 1, 1},
		{`<a><!ENTITY x "y"></a>`, fault.Invalid, 1, 4},
		{`<a>&nbsp;</a>`, fault.Invalid, 1, 4},
		{`<a>&#0;</a>`, fault.Invalid, 1, 4},
		{`<a>&#xD800;</a>`, fault.Invalid, 1, 4},
		{"<a>\x01</a>", fault.Invalid, 1, 4},
		{"<a>\xff</a>", fault.Invalid, 1, 4},
		{`<a b="1" b="2"/>`, fault.Invalid, 1, 10},
		{`<a xmlns:p="u" xmlns:q="u" p:x="1" q:x="2"/>`, fault.TooCostly, 1, 28},
		{`<p:a/>`, fault.Invalid, 1, 1},
		{`<a b="<"/>`, fault.Invalid, 1, 7},
		{`<a>]]></a>`, fault.Invalid, 1, 4},
		{`<a b="1"c="2"/>`, fault.Invalid, 1, 9},
		{`<a><b><c><d/></c></b></a>`, fault.TooCostly, 1, 10},
		{`<a x="1" y="2" z="3"/>`, fault.TooCostly, 1, 16},
		{`<a><b/><b/><b/><b/><b/><b/><b/><b/></a>`, fault.TooCostly, 1, 32},
		{`<a>` + strings.Repeat("x", 100) + `</a>`, fault.TooCostly, 0, 0},
		{`<?xml version="1.0" encoding="EBCDIC"?><a/>`, fault.Unsupported, 1, 1},
	} {
		_, err := dump([]byte(c.in), small)
		if !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", c.in, err, c.kind)
			continue
		}
		if is := fault.IssuesOf(err); c.line > 0 && (len(is) != 1 || is[0].Line != c.line || is[0].Col != c.col) {
			t.Errorf("%s: at %+v, want %d:%d", c.in, is, c.line, c.col)
		}
	}
}

func TestCharsets(t *testing.T) {
	const body = `<a>中医馆㐀</a>`
	gbk, _ := simplifiedchinese.GB18030.NewEncoder().String(body)
	utf16, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(`<?xml version="1.0" encoding="UTF-16"?>` + body)
	want := `<|a>"中医馆㐀"</a>`
	limits := Default()
	for _, in := range []string{
		`<?xml version="1.0" encoding="GBK"?>` + gbk, `<?xml version='1.0' encoding='gb2312' ?>` + gbk,
		`<?xml version="1.0" encoding="GB18030"?>` + gbk, utf16, body,
	} {
		if got, err := dump([]byte(in), limits); err != nil || got != want {
			t.Errorf("%q: %s %v", in[:30], got, err)
		}
	}
	limits.Charset = "GBK"
	if got, err := dump([]byte(gbk), limits); err != nil || got != want {
		t.Errorf("stated charset: %s %v", got, err)
	}
}

func TestParse(t *testing.T) {
	doc, err := Parse([]byte("<r xmlns='u'>\n <a k='v'>1<x/>2</a><a><b>t</b></a></r>"), Default())
	if err != nil {
		t.Fatal(err)
	}
	a := doc.Root.Child("a")
	if a.Text != "12" || a.Attr("k") != "v" || string(a.Raw()) != "<a k='v'>1<x/>2</a>" {
		t.Errorf("%+v", a)
	}
	b := doc.Root.Children[1].Find("b")
	if line, col := b.Position(); line != 2 || col != 24 || b.Path() != "/r/a[2]/b" || b.Value() != "t" {
		t.Errorf("%d:%d %s", line, col, b.Path())
	}
	if doc.Root.Find("none", "b").Value() != "" {
		t.Error("nil chain")
	}
}

// FuzzReader: never panics, and what we accept encoding/xml reads as the same
// elements.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`<a xmlns="u" b="1"><c>&lt;x</c><![CDATA[y]]></a>`))
	f.Add([]byte("<?xml version='1.0' encoding='gbk'?><a>\xd6\xd0</a>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Parse(data, Default())
		if err != nil {
			return
		}
		n := 0
		var count func(e *Element)
		count = func(e *Element) {
			n++
			for _, c := range e.Children {
				count(c)
			}
		}
		count(doc.Root)
		d := xml.NewDecoder(bytes.NewReader(doc.Source))
		d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
		m := 0
		for {
			tok, err := d.RawToken()
			if err != nil {
				if err != io.EOF {
					t.Skip() // encoding/xml is stricter about instructions and names
				}
				break
			}
			if _, ok := tok.(xml.StartElement); ok {
				m++
			}
		}
		if n != m {
			t.Errorf("%q: %d elements, encoding/xml %d", data, n, m)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	data := []byte("<r>" + strings.Repeat(`<entry id="17"><name value="李时珍"/><text>some text &amp; more</text></entry>`, 2000) + "</r>")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := New(data, Default())
		for err == nil {
			var t Token
			if t, err = r.Next(); t.Kind == EOF {
				break
			}
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
