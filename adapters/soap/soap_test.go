package soap

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

const inner = `<Request><Patient><name>A&B<3号</name></Patient></Request>`

func envelope(arg string) string {
	return `<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="` + NS11 + `"><soapenv:Header/><soapenv:Body>` +
		`<ns1:acceptMessage xmlns:ns1="http://DefaultNamespace">` + arg + `</ns1:acceptMessage></soapenv:Body></soapenv:Envelope>`
}

func TestParse_ok(t *testing.T) {
	for name, arg := range map[string]string{
		"escaped":       `<in0 xsi:type="xsd:string">` + Escape(inner) + `</in0>`,
		"escaped twice": `<arg0>` + Escape(Escape(inner)) + `</arg0>`,
		"cdata":         `<xml><![CDATA[` + inner + `]]></xml>`,
		"raw":           `<anything>` + inner + `</anything>`,
		"document":      Escape(inner),
	} {
		c, err := Parse([]byte(envelope(arg)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.First() != inner || c.Operation != "acceptMessage" || c.Namespace != "http://DefaultNamespace" {
			t.Errorf("%s: %q %q %q", name, c.First(), c.Operation, c.Namespace)
		}
	}
	c, err := Parse([]byte("  " + inner + "\n"))
	if err != nil || c.First() != inner || c.Operation != "" {
		t.Errorf("bare: %+v %v", c, err)
	}
	c, err = Parse([]byte(strings.Replace(envelope("<a>x</a>"), NS11, NS12, 1)))
	if err != nil || c.Version != V12 {
		t.Errorf("1.2: %+v %v", c, err)
	}
}

func TestParseXMLLenient_ok(t *testing.T) {
	for in, want := range map[string]string{
		`<a>x & y</a>`:              "x & y",
		`<a>x &amp; y &#20013;</a>`: "x & y 中",
		`<a>1<2</a>`:                "1<2",
		`<a>p<b q</a>`:              "p<b q",
		`<a>p<b>q</a>`:              "p<b>q",
		`<a>体温<39℃ & 脉>90</a>`:      "体温<39℃ & 脉>90",
		`<a>x</b>y</a>`:             "x</b>y",
		`<a>&unknown;</a>`:          "&unknown;",
	} {
		e, err := ParseXML([]byte(in))
		if err != nil || e.Text != want {
			t.Errorf("%s: %+v %v", in, e, err)
		}
	}
}

func TestParse_bad(t *testing.T) {
	for name, in := range map[string]string{
		"empty":     "",
		"text":      "hello",
		"truncated": `<Request><Patient><id>1</id>`,
		"dtd":       `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`,
		"deep":      strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100),
		"two roots": `<a/><b/>`,
		"cdata":     `<a><![CDATA[x</a>`,
		"no body":   `<Envelope><Header/></Envelope>`,
		"no call":   `<Envelope><Body/></Envelope>`,
	} {
		if _, err := Parse([]byte(in)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func TestErrorsTellThePlace(t *testing.T) {
	_, err := ParseXML([]byte("<a>\n 中<b>\n"))
	if is := fault.IssuesOf(err); len(is) != 1 || is[0].Line != 2 || is[0].Col != 3 {
		t.Fatalf("%v %+v", err, is)
	}
}

func TestValueTakesNullForAbsent(t *testing.T) {
	e, _ := ParseXML([]byte(`<P><a>null</a><b> x </b></P>`))
	if e.Value("a") != "" || e.Value("b") != "x" || e.Value("c") != "" || e.Child("z").Value("q") != "" {
		t.Fatal("wrong values")
	}
}

func TestReplyIsWhatThePlatformSends(t *testing.T) {
	c, err := Parse([]byte(envelope("<in0/>")))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/platform/TCM_HIS_01_soap_response.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Reply("Message has been successfully received"); string(got) != strings.TrimSpace(string(want)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReplyKeepsXMLLiteral(t *testing.T) {
	c := &Call{Operation: "acceptMessage"}
	const result = "<Request><Record>a]]>b &amp; c</Record></Request>"
	reply := c.Reply(result)
	if !strings.Contains(string(reply), "<Request><Record>a]]") {
		t.Errorf("%s", reply)
	}
	e, err := ParseXML(reply)
	if got := e.Child("Body").Child("acceptMessageResponse").Child("acceptMessageReturn"); err != nil || got.Text != result {
		t.Errorf("%v %q", err, got.Text)
	}
}

func TestDocumentStyle(t *testing.T) {
	const value = `{"a":"<1 & 2>"}`
	c, err := Parse(Request("http://webservices/", "doX", []Param{{"arg0", value}, {"arg1", "2"}}))
	if err != nil || c.Operation != "doX" || c.Namespace != "http://webservices/" || len(c.Params) != 2 || c.Params[0] != (Param{"arg0", value}) {
		t.Fatalf("%+v %v", c, err)
	}
	r, err := Parse(c.Return(value))
	if err != nil || r.Operation != "doXResponse" || r.Namespace != c.Namespace || r.Params[0] != (Param{"return", value}) {
		t.Errorf("%+v %v", r, err)
	}
	if c, err = Parse(RequestXML("urn:x", "op", "<a><b>1</b></a>")); err != nil || c.Body.Child("a").Value("b") != "1" {
		t.Errorf("%+v %v", c, err)
	}
}

func TestFaultsAndWSDLAreWellFormed(t *testing.T) {
	docs := [][]byte{DocumentService{"S", "P", "http://x/?a&b", "http://h/?c&d", []DocumentOperation{{"doX", 6}, {"doY", 1}}}.WSDL(), Service{"TCM_HIS_01", "http://DefaultNamespace", "acceptMessage", "in0", "http://h/a?b&c", "<推送>"}.WSDL()}
	for _, v := range []Version{V11, V12} {
		c := &Call{Version: v}
		docs = append(docs, c.Fault(true, "坏 & <x>\x01", "第 1 行"), c.Fault(false, "忙", ""))
	}
	for _, d := range docs {
		dec := xml.NewDecoder(strings.NewReader(string(d)))
		for {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, d)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(envelope("<in0>" + Escape(inner) + "</in0>")))
	f.Add([]byte(inner))
	f.Add([]byte(`<a b="c" d='e'><f:g xmlns:f="h"/><![CDATA[x]]><!-- --></a>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err == nil {
			_ = c.First()
			_, _ = ParseXML([]byte(c.First()))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	msg := []byte(envelope("<in0>" + Escape(strings.Repeat("<x>张三</x>", 40)) + "</in0>"))
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if _, err := Parse(msg); err != nil {
			b.Fatal(err)
		}
	}
}
