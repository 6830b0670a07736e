package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// sniffed is how much of a text file decides its character set and separator.
const sniffed = 256 << 10

type csvReader struct {
	r       *csv.Reader
	columns []string
	index   map[string]int
	row     int
	cut     bool     // the file does not end with a line end: its last row may be half of one
	ahead   []string // a row read to see whether it was the last
}

func openCSV(s Source) (Reader, error) {
	head := make([]byte, min(s.Size, sniffed))
	n, err := s.Data.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	if int64(n) < s.Size { // not in the middle of a character
		if i := bytes.LastIndexByte(head, '\n'); i > 0 {
			head = head[:i+1]
		}
	}
	text, set, err := charset.Decode(head, "")
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, fault.New(fault.Unsupported, "不认识的文件格式：应为 CSV、XLSX 或 DBF")
	}
	var in io.Reader = io.NewSectionReader(s.Data, 0, s.Size)
	switch set {
	case charset.GB18030:
		in = simplifiedchinese.GB18030.NewDecoder().Reader(in)
	case charset.UTF16:
		in = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(in)
	}
	c := &csvReader{r: csv.NewReader(in), cut: !endsLine(s)}
	c.r.Comma = separator(text)
	c.r.FieldsPerRecord, c.r.LazyQuotes, c.r.ReuseRecord = -1, true, true
	names, err := c.r.Read()
	if err != nil {
		return nil, fault.New(fault.Invalid, "读不到表头：%w", err)
	}
	c.columns, c.index, err = columns(names)
	c.row = 1
	return c, err
}

// separator is the one that stands most often in the first line, outside quotes.
func separator(text []byte) rune {
	count, quoted := map[rune]int{}, false
	for _, r := range string(text) {
		if r == '"' {
			quoted = !quoted
		} else if !quoted {
			if r == '\n' {
				break
			}
			count[r]++
		}
	}
	best := ','
	for _, r := range ",|\t;" {
		if count[r] > count[best] {
			best = r
		}
	}
	return best
}

// endsLine reports whether the file's last byte ends a line (or is the end mark
// of DOS).
func endsLine(s Source) bool {
	var last [1]byte
	n, _ := s.Data.ReadAt(last[:], s.Size-1) // UTF-16 ends with 00 or with \n
	return n > 0 && bytes.ContainsAny(last[:], "\n\r\x1a\x00")
}

// half reports that a row with too few values is the file's last and the file
// does not end with a line end: the sender has not finished it.
func (c *csvReader) half(values []string) ([]string, bool) {
	if !c.cut || len(values) >= len(c.columns) {
		return values, false
	}
	own := append([]string(nil), values...) // the next read would reuse it
	next, err := c.r.Read()
	if err != nil {
		return own, errors.Is(err, io.EOF)
	}
	c.ahead = append([]string(nil), next...)
	return own, false
}

func (c *csvReader) read() ([]string, error) {
	if values := c.ahead; values != nil {
		c.ahead = nil
		return values, nil
	}
	return c.r.Read()
}

func (c *csvReader) Columns() []string { return c.columns }
func (c *csvReader) Close() error      { return nil }

func (c *csvReader) Next() (Row, error) {
	for {
		values, err := c.read()
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			c.row++
			return Row{}, &RowError{Row: c.row, Message: "引号或分隔符有误"}
		}
		if err != nil {
			return Row{}, err
		}
		c.row++
		if len(values) == 1 && strings.Trim(values[0], " \t\x1a") == "" {
			continue // a blank line, or the end mark of DOS
		}
		values, half := c.half(values)
		if half {
			return Row{}, &RowError{Row: c.row, Message: "最后一行不完整，文件可能没有传完"}
		}
		return c.clean(values)
	}
}

func (c *csvReader) clean(values []string) (Row, error) {
	values, err := fit(values, len(c.columns), c.row)
	if err != nil {
		return Row{}, err
	}
	for i, v := range values {
		if len(v) > maxCell || strings.ContainsRune(v, utf8.RuneError) || !utf8.ValidString(v) {
			return Row{}, &RowError{Row: c.row, Column: c.columns[i], Message: "字符编码有误或内容过长"}
		}
		values[i] = strings.TrimSpace(v)
	}
	return Row{c.row, values, c.index}, nil
}
