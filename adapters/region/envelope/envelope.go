// Package envelope is the codec of the messages that county, city and provincial
// platforms exchange over SOAP in the manner of WS/T 790-2021 and WS/T 846-2024:
// a head that names service, sender and receiver, and a body. The standards'
// bodies are not published, so names are data ([Template]); the default is our
// documented shape (docs/guides/region.md).
package envelope

import (
	"bytes"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Template names the elements of a platform's envelope.
type Template struct {
	Namespace string `yaml:"namespace"` // of the operation
	Operation string `yaml:"operation"`
	Param     string `yaml:"param"` // holds the message as text; "" = the message is the operation's content
	Root      string `yaml:"root"`
	Head      string `yaml:"head"`
	Body      string `yaml:"body"`
	Service   string `yaml:"service"` // in the head: which service
	Message   string `yaml:"message"` // message id
	Sender    string `yaml:"sender"`
	Receiver  string `yaml:"receiver"`
	Time      string `yaml:"time"`
	Code      string `yaml:"code"` // in the body of an answer
	Text      string `yaml:"text"`
	OK        string `yaml:"ok"` // the code that means taken
}

// Default is the shape of our own service.
func Default() Template {
	return Template{Namespace: "urn:qihuang:region", Operation: "PlatformMessage", Param: "message", Root: "Message", Head: "Head", Body: "Body", Service: "ServiceCode",
		Message: "MessageId", Sender: "Sender", Receiver: "Receiver", Time: "CreateTime", Code: "Code", Text: "Text", OK: "AA"}
}

// Validate tells what is wrong with t, nil if nothing.
func (t Template) Validate() error {
	for _, name := range []string{t.Namespace, t.Operation, t.Root, t.Head, t.Body, t.Service, t.Code, t.OK} {
		if name == "" || strings.ContainsAny(name, "<>&\" ") {
			return fault.New(fault.Invalid, "envelope：namespace、operation、root、head、body、service、code、ok 应为元素名")
		}
	}
	return nil
}

// Message is one message, question or answer.
type Message struct {
	Service  string
	ID       string
	Sender   string
	Receiver string
	Time     time.Time
	Body     string // XML
	Code     string // of an answer
	Text     string
}

const timeForm = "20060102150405"

func element(name, content string) string {
	if name == "" || content == "" {
		return ""
	}
	return "<" + name + ">" + content + "</" + name + ">"
}

// text writes the message itself.
func (t Template) text(m Message) string {
	head := element(t.Service, soap.Escape(m.Service)) + element(t.Message, soap.Escape(m.ID)) + element(t.Sender, soap.Escape(m.Sender)) +
		element(t.Receiver, soap.Escape(m.Receiver)) + element(t.Time, m.Time.Format(timeForm))
	body := element(t.Code, soap.Escape(m.Code)) + element(t.Text, soap.Escape(m.Text)) + m.Body
	return "<" + t.Root + ">" + element(t.Head, head) + "<" + t.Body + ">" + body + "</" + t.Body + "></" + t.Root + ">"
}

// Request writes a question as a SOAP 1.1 call.
func (t Template) Request(m Message) []byte {
	if t.Param == "" {
		return soap.RequestXML(t.Namespace, t.Operation, t.text(m))
	}
	return soap.Request(t.Namespace, t.Operation, []soap.Param{{Name: t.Param, Value: t.text(m)}})
}

// Answer writes the answer to a call.
func (t Template) Answer(call *soap.Call, m Message) []byte { return call.Return(t.text(m)) }

// Read reads a SOAP message, question or answer.
func (t Template) Read(b []byte, zone *time.Location) (*soap.Call, Message, error) {
	call, err := soap.Parse(b)
	if err != nil {
		return &soap.Call{}, Message{}, err
	}
	if call.Operation == "" {
		call.Operation, call.Namespace = t.Operation, t.Namespace
	}
	root := find(call.Body, t.Root)
	if root == nil {
		if root, err = soap.ParseXML([]byte(call.First())); err != nil || root.Name != t.Root {
			return call, Message{}, fault.New(fault.Invalid, "消息里没有 <%s>", t.Root)
		}
	}
	head, body := root.Child(t.Head), root.Child(t.Body)
	if head == nil || body == nil {
		return call, Message{}, fault.New(fault.Invalid, "消息里没有 <%s> 或 <%s>", t.Head, t.Body)
	}
	m := Message{Service: head.Value(t.Service), ID: head.Value(t.Message), Sender: head.Value(t.Sender), Receiver: head.Value(t.Receiver),
		Code: body.Value(t.Code), Text: body.Value(t.Text), Body: string(bytes.TrimSpace(body.Inner))}
	m.Time, _ = time.ParseInLocation(timeForm, head.Value(t.Time), zone) // for people
	if m.Service == "" {
		return call, m, fault.New(fault.Invalid, "消息里没有 <%s>", t.Service)
	}
	return call, m, nil
}

// find returns the element itself or a child of that name.
func find(e *soap.Element, name string) *soap.Element {
	if e == nil || e.Name == name {
		return e
	}
	return e.Child(name)
}
