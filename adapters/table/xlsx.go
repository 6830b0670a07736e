package table

import (
	"io"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of an XLSX file, against archives that grow without end.
const (
	maxUnzipped = 2 << 30
	maxSheetXML = 64 << 20 // in memory; larger sheets go through a temporary file
)

type xlsxReader struct {
	f       *excelize.File
	rows    *excelize.Rows
	columns []string
	index   map[string]int
	row     int
}

// openXLSX reads the first sheet that has anything in it; its first non-blank
// row is the header.
func openXLSX(s Source) (Reader, error) {
	f, err := excelize.OpenReader(io.NewSectionReader(s.Data, 0, s.Size), excelize.Options{UnzipSizeLimit: maxUnzipped, UnzipXMLSizeLimit: maxSheetXML})
	if err != nil {
		return nil, fault.New(fault.Invalid, "不是可读的 XLSX 文件：%w", err)
	}
	for _, sheet := range f.GetSheetList() {
		rows, err := f.Rows(sheet)
		if err != nil {
			continue // a chart sheet
		}
		x := &xlsxReader{f: f, rows: rows}
		for rows.Next() {
			x.row++
			names, err := rows.Columns()
			if err != nil {
				break
			}
			if strings.TrimSpace(strings.Join(names, "")) == "" {
				continue
			}
			if x.columns, x.index, err = columns(names); err != nil {
				_ = x.Close()
				return nil, err
			}
			return x, nil
		}
		_ = rows.Close()
	}
	_ = f.Close()
	return nil, fault.New(fault.Invalid, "XLSX 文件里没有数据")
}

func (x *xlsxReader) Columns() []string { return x.columns }

func (x *xlsxReader) Close() error {
	_ = x.rows.Close()
	return x.f.Close()
}

func (x *xlsxReader) Next() (Row, error) {
	for x.rows.Next() {
		x.row++
		values, err := x.rows.Columns()
		if err != nil {
			return Row{}, &RowError{Row: x.row, Message: "单元格无法读取"}
		}
		if strings.TrimSpace(strings.Join(values, "")) == "" {
			continue
		}
		if values, err = fit(values, len(x.columns), x.row); err != nil {
			return Row{}, err
		}
		for i, v := range values {
			values[i] = strings.TrimSpace(v)
		}
		return Row{x.row, values, x.index}, nil
	}
	if err := x.rows.Error(); err != nil {
		return Row{}, fault.New(fault.Invalid, "XLSX 文件读到第 %d 行中断：%w", x.row, err)
	}
	return Row{}, io.EOF
}
