package soap

import (
	"bytes"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Version of SOAP, as the envelope's namespace says.
type Version int

// The versions.
const (
	V11 Version = iota
	V12
)

// The envelope namespaces.
const (
	NS11 = "http://schemas.xmlsoap.org/soap/envelope/"
	NS12 = "http://www.w3.org/2003/05/soap-envelope"
)

// Call is one request: an operation and its parameters, in RPC or document
// style.
type Call struct {
	Version   Version
	Namespace string // of the operation; replies use the same
	Operation string // "" when the message came without an envelope
	Params    []Param
	Body      *Element // the operation's element, or the bare message
}

// Param is a parameter by its name, whatever that is (in0, arg0 …).
type Param struct {
	Name  string
	Value string // text; or the XML inside it, as sent, if it holds elements
}

// First returns the first parameter's value: the message of acceptMessage.
func (c *Call) First() string {
	if len(c.Params) == 0 {
		return ""
	}
	return c.Params[0].Value
}

// Parse reads an envelope. A message without one is a Call without an
// operation, whose single parameter is the message: some gateways strip it.
func Parse(text []byte) (*Call, error) {
	root, err := ParseXML(text)
	if err != nil {
		return nil, err
	}
	if root.Name != "Envelope" {
		return &Call{Body: root, Params: []Param{{Value: string(bytes.TrimSpace(text[root.Offset:]))}}}, nil
	}
	c := &Call{}
	if root.Space == NS12 {
		c.Version = V12
	}
	body := root.Child("Body")
	if body == nil {
		return nil, fault.New(fault.Invalid, "SOAP 信封里没有 Body").With(fault.Issue{Severity: "fatal", Code: "structure",
			Key: "soap-body", Text: "SOAP 信封里没有 Body", Expression: "/Envelope/Body", Hint: "请按 WSDL 生成请求"})
	}
	if len(body.Children) == 0 {
		return nil, fault.New(fault.Invalid, "SOAP Body 是空的").With(fault.Issue{Severity: "fatal", Code: "structure",
			Key: "soap-operation", Text: "SOAP Body 是空的", Expression: "/Envelope/Body/*", Hint: "应包含 acceptMessage"})
	}
	c.Body = body.Children[0]
	c.Namespace, c.Operation = c.Body.Space, c.Body.Name
	for _, p := range c.Body.Children {
		c.Params = append(c.Params, Param{p.Name, value(p)})
	}
	if len(c.Params) == 0 && strings.TrimSpace(c.Body.Text) != "" {
		c.Params = []Param{{Value: c.Body.Text}}
	}
	return c, nil
}

// value is what a parameter says. XML inside it stays XML; text that is escaped
// twice is unescaped once more.
func value(e *Element) string {
	if len(e.Children) > 0 {
		return string(bytes.TrimSpace(e.Inner))
	}
	s := strings.TrimSpace(e.Text)
	if strings.HasPrefix(s, "&lt;") {
		var b strings.Builder
		unescape(&b, []byte(s))
		s = b.String()
	}
	return s
}
