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
	c := &csvReader{r: csv.NewReader(in)}
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

func (c *csvReader) Columns() []string { return c.columns }
func (c *csvReader) Close() error      { return nil }

func (c *csvReader) Next() (Row, error) {
	for {
		values, err := c.r.Read()
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
