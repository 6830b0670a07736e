package maturity

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed data/report.html
var reportHTML string

// Text writes the report as a table; with every it lists each item, otherwise only
// those that do not pass, with at most a few of their gaps.
func (r *Report) Text(w io.Writer, every bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "互联互通标准化成熟度自评报告  %s\n对象：%s（版本 %s）\n%s\n\n", r.Time.Format(time.DateTime), r.Subject, r.Version, r.Scheme)
	fmt.Fprintf(&b, "总分 %.1f / %.0f\n", r.Score, r.Max)
	for _, p := range r.Parts {
		fmt.Fprintf(&b, "\n%s  %.1f / %.0f\n  %s\n", p.Name, p.Score, p.Max, p.Note)
		for _, i := range p.Items {
			if !every && i.Share >= 1 {
				continue
			}
			fmt.Fprintf(&b, "  %-3s %-14s %s  %.0f%%  %s\n", i.Status(), i.ID, i.Name, i.Share*100, i.Evidence)
			shown := i.Missing
			if !every {
				shown = shown[:min(3, len(shown))]
			}
			for _, m := range shown {
				fmt.Fprintf(&b, "        缺：%s\n", m)
			}
			if n := len(i.Missing) - len(shown); n > 0 {
				fmt.Fprintf(&b, "        … 另有 %d 项（--all 或 --json 全部列出）\n", n)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// HTML writes the report as one page without scripts.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"percent": func(x float64) string { return fmt.Sprintf("%.0f%%", x*100) },
		"points": func(x float64) string { return fmt.Sprintf("%.1f", x) }}).Parse(reportHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}
