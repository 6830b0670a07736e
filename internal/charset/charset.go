// Package charset turns the bytes of Chinese hospital systems into UTF-8: what
// they declare is often wrong, so validity decides.
package charset

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// The names of what [Decode] found.
const (
	UTF8    = "UTF-8"
	GB18030 = "GB18030" // superset of GBK and GB2312
	UTF16   = "UTF-16"
)

var bom = []byte("\xef\xbb\xbf")

// Decode returns body in UTF-8 without a byte order mark, and the character set
// it turned out to be. declared is what the sender said (an HTTP charset, an XML
// encoding, MSH-18 …), "" if nothing; it decides only where the bytes allow both.
// Bytes that are neither UTF-8, GB18030 nor marked UTF-16 are fault.Invalid.
// Valid UTF-8 is returned without a copy.
func Decode(body []byte, declared string) (text []byte, found string, err error) {
	if len(body) >= 2 && (body[0] == 0xff && body[1] == 0xfe || body[0] == 0xfe && body[1] == 0xff) {
		out, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(body)
		if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
			return nil, "", undecodable(body)
		}
		return out, UTF16, nil
	}
	body = bytes.TrimPrefix(body, bom)
	valid, wide := scan(body)
	if valid && (wide || !IsGB(declared) || ascii(body)) {
		return body, UTF8, nil
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(body)
	if err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
		return out, GB18030, nil
	}
	if valid {
		return body, UTF8, nil
	}
	return nil, "", undecodable(body)
}

// IsGB reports whether name is one of the Chinese national encodings, as in
// "gbk", "GB2312", "GB 18030-2000", "x-gbk", "cp936".
func IsGB(name string) bool {
	n := strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
	n = strings.TrimPrefix(n, "X")
	return strings.HasPrefix(n, "GB") || n == "CP936" || n == "MS936" || n == "WINDOWS936"
}

// Encode returns UTF-8 text in the named character set; unknown names mean
// UTF-8. Characters the set lacks become '?'.
func Encode(text []byte, name string) []byte {
	if !IsGB(name) {
		return text
	}
	out, err := simplifiedchinese.GB18030.NewEncoder().Bytes(text)
	if err != nil {
		return text
	}
	return out
}

// scan reports whether b is UTF-8 and whether it has a sequence of three or
// more bytes, as every Chinese character in UTF-8 is and no GBK text looks like.
func scan(b []byte) (valid, wide bool) {
	if !utf8.Valid(b) {
		return false, false
	}
	for _, c := range b {
		if c >= 0xe0 {
			return true, true
		}
	}
	return true, false
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func undecodable(body []byte) error {
	at := 0
	for at < len(body) {
		r, n := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		at += n
	}
	line := 1 + bytes.Count(body[:at], []byte{'\n'})
	col := at - bytes.LastIndexByte(body[:at], '\n')
	return fault.New(fault.Invalid, "字符编码无法识别").With(fault.Issue{Severity: "fatal", Code: "structure",
		Key: "charset", Text: "内容既不是 UTF-8 也不是 GB18030", TextEN: "the bytes are neither UTF-8 nor GB18030",
		Line: line, Col: col, Hint: "请以 UTF-8 或 GBK/GB18030 发送"})
}
