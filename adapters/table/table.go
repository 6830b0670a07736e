// Package table reads the files in which hospital systems export their tables:
// CSV and its kin in UTF-8 or GBK, dBASE and FoxPro with memo files, XLSX. Rows
// stream with constant memory and every error names its row and column. The
// package is a codec: it opens no files.
package table

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of every format.
const (
	maxColumns = 4096
	maxCell    = 16 << 20 // bytes of one value
)

// Reader yields the rows of one table in order. It is used by one goroutine.
type Reader interface {
	// Columns names the columns, trimmed and unique.
	Columns() []string
	// Next returns the next row; io.EOF after the last. A *RowError concerns
	// that row only: reading goes on. Any other error ends the table.
	Next() (Row, error)
	// Close releases what the reader holds; not the file it was given.
	Close() error
}

// Row is one record. Its values are valid until the next call of Next.
type Row struct {
	Number int      // 1-based row of the data, as people count it in the file: the header is row 1
	Values []string // by column, trimmed; "" = absent
	index  map[string]int
}

// Get returns the value of a column, "" if there is no such column. Names are
// compared without regard to case.
func (r Row) Get(column string) string {
	if i, ok := r.index[strings.ToUpper(column)]; ok && i < len(r.Values) {
		return r.Values[i]
	}
	return ""
}

// Has reports whether the table has a column.
func (r Row) Has(column string) bool {
	_, ok := r.index[strings.ToUpper(column)]
	return ok
}

// RowError is a row that cannot be read.
type RowError struct {
	Row     int    // as Row.Number
	Column  string // "" = the whole row
	Message string // for people, Chinese; no health data
}

// Error joins the place and the message.
func (e *RowError) Error() string {
	at := "第 " + strconv.Itoa(e.Row) + " 行"
	if e.Column != "" {
		at += " " + e.Column + " 列"
	}
	return at + "：" + e.Message
}

// Source is a file as the caller opened it.
type Source struct {
	Name string // file name; its extension is a hint only
	Data io.ReaderAt
	Size int64
	Memo io.ReaderAt // .DBT or .FPT beside a .DBF, nil if none
}

// Open finds the format by content, then by name, and reads the header.
// fault.Unsupported for a format we do not read, fault.Invalid for a broken one.
func Open(s Source) (Reader, error) {
	head := make([]byte, 32)
	n, err := s.Data.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	switch {
	case len(bytes.TrimSpace(head)) == 0 && s.Size <= int64(n):
		return nil, fault.New(fault.Invalid, "文件是空的")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return openXLSX(s)
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return nil, fault.New(fault.Unsupported, "旧版 Excel（.xls）不能读取，请另存为 .xlsx 或 .csv")
	case isDBF(head, s):
		return openDBF(s)
	}
	return openCSV(s)
}

// columns cleans a header: trimmed, unique, without the blank columns at its end.
func columns(names []string) ([]string, map[string]int, error) {
	for len(names) > 0 && strings.TrimSpace(names[len(names)-1]) == "" {
		names = names[:len(names)-1]
	}
	if len(names) == 0 || len(names) > maxColumns {
		return nil, nil, fault.New(fault.Invalid, "表头应有 1 到 %d 列，现有 %d 列", maxColumns, len(names))
	}
	out, index := make([]string, len(names)), make(map[string]int, len(names))
	for i, n := range names {
		n = strings.Trim(n, "\ufeff \t\r\n\x00")
		if n == "" {
			n = "列" + strconv.Itoa(i+1)
		}
		if _, twice := index[strings.ToUpper(n)]; twice {
			return nil, nil, fault.New(fault.Invalid, "表头中 %s 列出现两次", n)
		}
		out[i], index[strings.ToUpper(n)] = n, i
	}
	return out, index, nil
}

// fit gives the row as many values as the header has columns; surplus values
// must be blank.
func fit(values []string, n, row int) ([]string, error) {
	for len(values) > n {
		if strings.TrimSpace(values[len(values)-1]) != "" {
			return nil, &RowError{Row: row, Message: "有 " + strconv.Itoa(len(values)) + " 个值，表头只有 " + strconv.Itoa(n) + " 列"}
		}
		values = values[:len(values)-1]
	}
	for len(values) < n {
		values = append(values, "")
	}
	return values, nil
}
