package soap

import (
	"strings"
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>`

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// Escape escapes text for XML content and attribute values; control characters
// that XML forbids are dropped.
func Escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, s)
	return escaper.Replace(s)
}

func (v Version) namespace() string {
	if v == V12 {
		return NS12
	}
	return NS11
}

// ContentType is the media type of replies in this version.
func (v Version) ContentType() string {
	if v == V12 {
		return "application/soap+xml; charset=utf-8"
	}
	return "text/xml; charset=utf-8"
}

// Reply wraps the string result of an RPC call: `<ns1:OPResponse><OPReturn>` with
// an unqualified return element, as Axis 1 clients expect. XML in the result
// stands in CDATA: clients that search the reply's text literally find it.
func (c *Call) Reply(result string) []byte {
	return c.wrap(`<ns1:` + c.Operation + `Response xmlns:ns1="` + Escape(c.Namespace) + `"><` + c.Operation + `Return>` +
		content(result) + `</` + c.Operation + `Return></ns1:` + c.Operation + `Response>`)
}

// content escapes text, or wraps it when it is XML itself.
func content(result string) string {
	if !strings.HasPrefix(result, "<") {
		return Escape(result)
	}
	return "<![CDATA[" + strings.ReplaceAll(result, "]]>", "]]]]><![CDATA[>") + "]]>"
}

func (c *Call) wrap(body string) []byte {
	return []byte(xmlHead + `<soapenv:Envelope xmlns:soapenv="` + c.Version.namespace() + `"><soapenv:Body>` + body +
		`</soapenv:Body></soapenv:Envelope>`)
}

// Fault writes a fault of the call's version. client says that the caller must
// change the request; detail may be "".
func (c *Call) Fault(client bool, reason, detail string) []byte {
	if c.Version == V12 {
		code := "Receiver"
		if client {
			code = "Sender"
		}
		if detail != "" {
			detail = `<soapenv:Detail><detail>` + Escape(detail) + `</detail></soapenv:Detail>`
		}
		return c.wrap(`<soapenv:Fault><soapenv:Code><soapenv:Value>soapenv:` + code + `</soapenv:Value></soapenv:Code>` +
			`<soapenv:Reason><soapenv:Text xml:lang="zh-CN">` + Escape(reason) + `</soapenv:Text></soapenv:Reason>` + detail + `</soapenv:Fault>`)
	}
	code := "Server"
	if client {
		code = "Client"
	}
	if detail != "" {
		detail = `<detail><message>` + Escape(detail) + `</message></detail>`
	}
	return c.wrap(`<soapenv:Fault><faultcode>soapenv:` + code + `</faultcode><faultstring>` + Escape(reason) +
		`</faultstring>` + detail + `</soapenv:Fault>`)
}
