package supervision

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/xuri/excelize/v2"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/pdf"
)

// sheet is a table of a page, as it is exported: the numbers are those of the
// page.
type sheet struct {
	Title  string
	Head   []string
	Rows   [][]string
	Public bool // it may be published: no person is named, small counts are suppressed
}

// export writes the sheets in the format that the URL asks for; false if it asks
// for none.
func (a *App) export(g *gin.Context, s *scope, title string, sheets ...sheet) (done bool) {
	format := g.Query("format")
	if format == "" {
		return false
	}
	if s.Public {
		if sheets, title = published(sheets), title+"（公开）"; len(sheets) == 0 {
			a.fail(g, fault.New(fault.Invalid, "这一页没有可以对外公开的表"))
			return true
		}
	}
	name := url.PathEscape(title + "_" + s.Where() + "_" + s.From + "_" + s.To + "." + format)
	write, typ := map[string]func(*gin.Context, *scope, string, []sheet) error{"csv": writeCSV, "xlsx": writeXLSX, "pdf": writePDF}[format],
		map[string]string{"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "pdf": "application/pdf"}[format]
	if write == nil {
		a.fail(g, fault.New(fault.Invalid, "导出格式应为 csv、xlsx 或 pdf"))
		return true
	}
	g.Header("Content-Type", typ)
	g.Header("Content-Disposition", "attachment; filename*=UTF-8''"+name)
	g.Status(http.StatusOK)
	if err := write(g, s, title, sheets); err != nil {
		a.Log.WarnContext(g, "export page", "format", format, "error", err)
	}
	return true
}

// safe keeps spreadsheets from taking text for a formula.
func safe(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) && !numeric(cell) {
		return "'" + cell
	}
	return cell
}

func numeric(s string) bool {
	return strings.Trim(s, "+-0123456789.,%") == ""
}

func writeCSV(g *gin.Context, s *scope, title string, sheets []sheet) error {
	if _, err := g.Writer.WriteString("\xEF\xBB\xBF"); err != nil { // Excel takes UTF-8 by its mark
		return err
	}
	w := csv.NewWriter(g.Writer)
	for i, x := range sheets {
		if i > 0 {
			w.Write([]string{})
		}
		if len(sheets) > 1 {
			w.Write([]string{x.Title})
		}
		w.Write(x.Head)
		for _, r := range x.Rows {
			cells := make([]string, len(r))
			for j, c := range r {
				cells[j] = safe(c)
			}
			w.Write(cells)
		}
	}
	w.Flush()
	return w.Error()
}

func writeXLSX(g *gin.Context, s *scope, title string, sheets []sheet) error {
	f := excelize.NewFile()
	defer f.Close()
	for i, x := range sheets {
		name := strings.NewReplacer(":", " ", "\\", " ", "/", " ", "?", " ", "*", " ", "[", "(", "]", ")").Replace(x.Title)
		if r := []rune(name); len(r) > 31 {
			name = string(r[:31])
		}
		if i == 0 {
			if err := f.SetSheetName("Sheet1", name); err != nil {
				return err
			}
		} else if _, err := f.NewSheet(name); err != nil {
			return err
		}
		rows := append([][]string{{title + "　" + s.Where() + "　" + s.Period(), "数据截至 " + s.Fresh}, x.Head}, x.Rows...)
		for n, r := range rows {
			cells := make([]any, len(r))
			for j, c := range r {
				cells[j] = c
			}
			if err := f.SetSheetRow(name, fmt.Sprintf("A%d", n+1), &cells); err != nil {
				return err
			}
		}
	}
	return f.Write(g.Writer)
}

func writePDF(g *gin.Context, s *scope, title string, sheets []sheet) error {
	d := pdf.New("岐黄 业务监管　数据截至 " + s.Fresh)
	d.Title(title)
	d.Note(s.Where() + "　" + s.Period())
	for _, x := range sheets {
		d.Note(x.Title)
		d.Table(append([][]string{x.Head}, x.Rows...))
	}
	_, err := d.WriteTo(g.Writer)
	return err
}
