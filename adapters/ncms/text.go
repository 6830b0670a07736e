package ncms

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Text is a JSON value that systems send as a string, a number or null: the text
// "null" counts as absent too. It is written as a string.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		if s = strings.TrimSpace(s); s == "null" {
			s = ""
		}
		*t = Text(s)
		return nil
	}
	switch {
	case bytes.Equal(b, []byte("null")):
		*t = ""
	case len(b) > 0 && (b[0] == '{' || b[0] == '['):
		return fault.New(fault.Invalid, "应为文本或数字")
	default:
		*t = Text(b)
	}
	return nil
}

// String returns the text.
func (t Text) String() string { return string(t) }

// Money reads the text as an amount; member is named in the fault.
func (t Text) Money(member string) (Money, error) { return ParseMoney(member, string(t)) }

// DecodeJSON reads a message of a dialect; fault.Invalid.
func DecodeJSON(message []byte, into any) error {
	if err := json.Unmarshal(message, into); err != nil {
		return fault.New(fault.Invalid, "消息不是有效的 JSON：%w", err).With(fault.Issue{Severity: "fatal", Code: "structure", Key: "bad-json",
			Text: "消息不是有效的 JSON", TextEN: "the message is no valid JSON"})
	}
	return nil
}

// EncodeJSON writes a message without escaping HTML.
func EncodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // only strings, slices and structs of them
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
