package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// dbfReader reads dBASE III/IV, FoxPro and Visual FoxPro tables. Deleted records
// are skipped.
type dbfReader struct {
	in      io.Reader
	src     Source
	fields  []dbfField
	columns []string
	index   map[string]int
	record  []byte
	values  []string
	memo    memo
	total   int
	read    int
}

type dbfField struct {
	name     string
	kind     byte
	at, size int
}

// isDBF recognises the header: a known version, a plausible date and sizes that
// fit the file.
func isDBF(head []byte, s Source) bool {
	if len(head) < 32 {
		return false
	}
	switch head[0] {
	case 0x02, 0x03, 0x04, 0x05, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8b, 0x8e, 0xcb, 0xf5, 0xfb:
	default:
		return false
	}
	header, record := int64(binary.LittleEndian.Uint16(head[8:])), int64(binary.LittleEndian.Uint16(head[10:]))
	return head[2] <= 12 && head[3] <= 31 && header >= 33 && header <= s.Size && record >= 2
}

func openDBF(s Source) (Reader, error) {
	var head [32]byte
	if _, err := s.Data.ReadAt(head[:], 0); err != nil {
		return nil, fault.New(fault.Invalid, "DBF 文件头不完整：%w", err)
	}
	size := int(binary.LittleEndian.Uint16(head[8:]))
	d := &dbfReader{src: s, total: int(binary.LittleEndian.Uint32(head[4:])), record: make([]byte, binary.LittleEndian.Uint16(head[10:]))}
	table := make([]byte, size-32)
	if _, err := s.Data.ReadAt(table, 32); err != nil && err != io.EOF {
		return nil, err
	}
	if err := d.describe(table); err != nil {
		return nil, err
	}
	d.memo = openMemo(s.Memo, head[0])
	d.in = io.NewSectionReader(s.Data, int64(size), s.Size-int64(size))
	return d, nil
}

// describe reads the field descriptors: 32 bytes each, ended by CR.
func (d *dbfReader) describe(table []byte) error {
	at := 1 // behind the deletion mark
	var names []string
	for len(table) >= 32 && table[0] != '\r' {
		name, _, _ := bytes.Cut(table[:11], []byte{0})
		text, _, err := charset.Decode(name, "gbk")
		if err != nil {
			return err
		}
		f := dbfField{name: string(text), kind: table[11], at: at, size: int(table[16])}
		if f.kind == 'C' {
			f.size += int(table[17]) << 8 // Clipper and FoxPro: long text
		}
		if f.kind != '0' { // FoxPro's hidden null flags
			d.fields = append(d.fields, f)
			names = append(names, f.name)
		}
		at += f.size
		table = table[32:]
	}
	if at > len(d.record) {
		return fault.New(fault.Invalid, "DBF 文件头有误：各字段共 %d 字节，记录只有 %d 字节", at, len(d.record))
	}
	var err error
	d.columns, d.index, err = columns(names)
	d.values = make([]string, len(d.fields))
	return err
}

func (d *dbfReader) Columns() []string { return d.columns }
func (d *dbfReader) Close() error      { return nil }

func (d *dbfReader) Next() (Row, error) {
	for d.read < d.total {
		n, err := io.ReadFull(d.in, d.record)
		if n > 0 && d.record[0] == 0x1a {
			break // the end mark, though the header promised more
		}
		d.read++
		row := d.read + 1
		if err != nil {
			missing := d.total - d.read + 1
			d.total = d.read
			return Row{}, &RowError{Row: row, Message: "文件不完整：还应有 " + strconv.Itoa(missing) + " 条记录"}
		}
		if d.record[0] == '*' || len(bytes.Trim(d.record, " ")) == 0 {
			continue // deleted, or never filled in
		}
		for i, f := range d.fields {
			if d.values[i], err = d.value(f); err != nil {
				return Row{}, &RowError{Row: row, Column: d.columns[i], Message: err.Error()}
			}
		}
		return Row{row, d.values, d.index}, nil
	}
	return Row{}, io.EOF
}

var (
	errDate   = errors.New("不是日期")
	errNumber = errors.New("不是数字")
	errMemo   = errors.New("备注文件缺失或有误")
	errText   = errors.New("字符编码有误")
)

// value turns a field into text: dates as YYYY-MM-DD, times as YYYY-MM-DD
// hh:mm:ss, logicals as true or false.
func (d *dbfReader) value(f dbfField) (string, error) {
	raw := d.record[f.at : f.at+f.size]
	switch f.kind {
	case 'I', 'Y', 'T', 'B', 'O':
		if f.kind == 'B' && f.size != 8 {
			return d.memoText(raw)
		}
		return binaryValue(f.kind, raw)
	case 'M', 'G', 'P', 'W':
		return d.memoText(raw)
	}
	s := strings.Trim(string(raw), " \x00")
	switch f.kind {
	case 'D':
		if s == "" || s == "00000000" {
			return "", nil
		}
		t, err := time.Parse("20060102", s)
		if err != nil {
			return "", errDate
		}
		return t.Format(time.DateOnly), nil
	case 'L':
		switch s {
		case "T", "t", "Y", "y":
			return "true", nil
		case "F", "f", "N", "n":
			return "false", nil
		}
		return "", nil
	case 'N', 'F':
		if strings.Trim(s, "*") == "" {
			return "", nil // FoxPro writes stars where a number did not fit
		}
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return "", errNumber
		}
		return s, nil
	}
	return text(bytes.Trim(raw, " \x00"))
}

func text(b []byte) (string, error) {
	out, _, err := charset.Decode(b, "gbk")
	if err != nil {
		return "", errText
	}
	return strings.TrimSpace(string(out)), nil
}

func binaryValue(kind byte, b []byte) (string, error) {
	switch {
	case kind == 'I' && len(b) == 4:
		return strconv.Itoa(int(int32(binary.LittleEndian.Uint32(b)))), nil
	case kind == 'Y' && len(b) == 8:
		return currency(int64(binary.LittleEndian.Uint64(b))), nil
	case len(b) == 8 && (kind == 'B' || kind == 'O'):
		v := math.Float64frombits(binary.LittleEndian.Uint64(b))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", errNumber
		}
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case kind == 'T' && len(b) == 8:
		day, ms := int(binary.LittleEndian.Uint32(b)), int(binary.LittleEndian.Uint32(b[4:]))
		if day == 0 || strings.TrimSpace(string(b)) == "" {
			return "", nil
		}
		const unixJulian = 2440588 // Julian day of 1970-01-01
		t := time.Unix(int64(day-unixJulian)*86400, 0).UTC().Add(time.Duration(ms) * time.Millisecond)
		if t.Year() < 1 || t.Year() > 9999 {
			return "", errDate
		}
		return t.Round(time.Second).Format(time.DateTime), nil
	}
	return "", errNumber
}

// currency is a FoxPro amount in ten-thousandths.
func currency(v int64) string {
	sign, u := "", uint64(v)
	if v < 0 {
		sign, u = "-", uint64(-v)
	}
	s := strconv.FormatUint(u, 10)
	for len(s) < 5 {
		s = "0" + s
	}
	s = s[:len(s)-4] + "." + s[len(s)-4:]
	return sign + strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
