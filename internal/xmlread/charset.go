package xmlread

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// decode returns data as UTF-8 without a byte order mark: by the mark, else by the
// stated charset, else by the XML declaration, else as UTF-8. Text that is UTF-8
// already is returned as it is.
func decode(data []byte, stated string) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")):
		return data[3:], nil
	case bytes.HasPrefix(data, []byte("\xFE\xFF")), bytes.HasPrefix(data, []byte("\xFF\xFE")):
		return transcode(data, "utf-16", unicode.UTF16(unicode.BigEndian, unicode.UseBOM))
	case bytes.HasPrefix(data, []byte("\x00<\x00?")):
		return transcode(data, "utf-16be", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM))
	case bytes.HasPrefix(data, []byte("<\x00?\x00")):
		return transcode(data, "utf-16le", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM))
	}
	name := stated
	if name == "" {
		name = declared(data)
	}
	enc, ok := charset(name)
	if !ok {
		return nil, fault.New(fault.Unsupported, "charset %.40q", name).With(fault.Issue{Severity: "fatal", Code: "not-supported",
			Key: "xml-charset", Text: "不支持的字符集：" + short(name), TextEN: "unsupported charset", Line: 1, Col: 1,
			Hint: "UTF-8, UTF-16, GBK, GB18030, GB2312, ISO-8859-1"})
	}
	if enc == nil {
		return data, nil
	}
	return transcode(data, name, enc)
}

func transcode(data []byte, name string, enc encoding.Encoding) ([]byte, error) {
	out, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, "decode %s: %w", short(name), err)
	}
	return out, nil
}

// charset finds an encoding by name; nil with ok means UTF-8.
func charset(name string) (enc encoding.Encoding, ok bool) {
	switch strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name)) {
	case "", "utf8", "usascii", "ascii":
		return nil, true
	case "gbk", "gb2312", "cp936", "windows936", "xgbk":
		// GB18030 holds all of GBK and GB2312, and senders are careless with the name.
		return simplifiedchinese.GB18030, true
	case "gb18030", "gb180302000", "gb180302005", "gb180302022":
		return simplifiedchinese.GB18030, true
	case "iso88591", "latin1":
		return charmap.ISO8859_1, true
	case "windows1252", "cp1252":
		return charmap.Windows1252, true
	case "utf16", "utf16be", "utf16le":
		return nil, true // no mark and readable as bytes: the declaration is wrong, it is not UTF-16
	}
	return nil, false
}

// declared reads the encoding of <?xml … encoding="…"?>, "" if there is none.
func declared(data []byte) string {
	data = bytes.TrimLeft(data, " \t\r\n")
	if !bytes.HasPrefix(data, []byte("<?xml")) {
		return ""
	}
	end := bytes.Index(data[:min(len(data), 200)], []byte("?>"))
	if end < 0 {
		return ""
	}
	_, rest, ok := bytes.Cut(data[:end], []byte("encoding"))
	if !ok {
		return ""
	}
	rest = bytes.TrimLeft(rest, " \t\r\n=")
	if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
		return ""
	}
	name, _, _ := bytes.Cut(rest[1:], rest[:1])
	return string(name)
}

// short keeps a name from the input fit for a message.
func short(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	if !utf8.ValidString(s) {
		return "?"
	}
	return s
}
