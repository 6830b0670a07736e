// Package pdf writes plain reports as PDF: a title, notes and tables of text on
// A4 pages. Chinese needs no font file: the text names the standard Adobe-GB1
// font STSong-Light, which every PDF reader substitutes (ISO 32000-1 §9.7.5.2,
// predefined CMap UniGB-UCS2-H), so that the file is small and its text can be
// selected and searched.
package pdf

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf16"
)

// Page measures in points (1/72 inch), A4 across.
const (
	pageWidth, pageHeight = 842, 595
	margin                = 40
	titleSize, textSize   = 16, 9
	lineHeight            = 15
)

// Document collects lines of text until it is written. The zero value is not
// usable; see New.
type Document struct {
	pages []*bytes.Buffer
	y     float64
	foot  string
}

// New begins a document; foot stands at the bottom of every page before the
// page number.
func New(foot string) *Document {
	d := &Document{foot: foot}
	d.turn()
	return d
}

func (d *Document) turn() {
	d.pages = append(d.pages, &bytes.Buffer{})
	d.y = pageHeight - margin
}

func (d *Document) text(x, size float64, s string) {
	fmt.Fprintf(d.pages[len(d.pages)-1], "BT /F1 %g Tf %.1f %.1f Td <%s> Tj ET\n", size, x, d.y, encode(s))
}

// down moves to the next line, on a new page where this one is full.
func (d *Document) down(by float64) {
	d.y -= by
	if d.y < margin+lineHeight {
		d.turn()
		d.y -= lineHeight
	}
}

// Title writes a heading.
func (d *Document) Title(s string) {
	d.down(titleSize + 6)
	d.text(margin, titleSize, s)
	d.down(8)
}

// Note writes a paragraph, broken where it is too wide.
func (d *Document) Note(s string) {
	for _, line := range wrap(s, pageWidth-2*margin) {
		d.down(lineHeight)
		d.text(margin, textSize, line)
	}
}

// Table writes rows in columns as wide as their longest cells, scaled to the
// page; cells that do not fit are cut. The first row is the head and is repeated
// on every page.
func (d *Document) Table(rows [][]string) {
	if len(rows) == 0 {
		return
	}
	at := columns(rows)
	d.down(6)
	d.row(rows[0], at, true)
	for _, r := range rows[1:] {
		page := len(d.pages)
		d.down(lineHeight)
		if len(d.pages) > page {
			d.row(rows[0], at, true)
			d.down(lineHeight)
		}
		d.row(r, at, false)
	}
	d.down(6)
}

func (d *Document) row(cells []string, at []float64, head bool) {
	if head {
		d.down(lineHeight)
	}
	for i, c := range cells {
		if i+1 < len(at) {
			d.text(at[i], textSize, cut(c, at[i+1]-at[i]-4))
		}
	}
	grey := 0.85
	if head {
		grey = 0.3
	}
	fmt.Fprintf(d.pages[len(d.pages)-1], "%.2f G 0.5 w %d %.1f m %d %.1f l S\n", grey, margin, d.y-4, pageWidth-margin, d.y-4)
}

// columns returns the x of each column and of the right edge.
func columns(rows [][]string) []float64 {
	wide := make([]float64, 0, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], min(width(c), 240)+10)
		}
	}
	sum := 0.0
	for _, w := range wide {
		sum += w
	}
	scale := min(1.6, (pageWidth-2*margin)/sum)
	at := []float64{margin}
	for _, w := range wide {
		at = append(at, at[len(at)-1]+w*scale)
	}
	return at
}

// advance is the width of a rune: half an em for Latin, a whole one for others.
func advance(r rune) float64 {
	if r < 0x2000 {
		return textSize / 2.0
	}
	return textSize
}

func width(s string) (w float64) {
	for _, r := range s {
		w += advance(r)
	}
	return w
}

func cut(s string, space float64) string {
	w := 0.0
	for i, r := range s {
		if w += advance(r); w > space {
			return s[:i]
		}
	}
	return s
}

func wrap(s string, space float64) (lines []string) {
	for s != "" {
		head := cut(s, space)
		if head == "" {
			break
		}
		lines = append(lines, head)
		s = s[len(head):]
	}
	return lines
}

// encode writes text as UCS-2 in hexadecimal; runes beyond it become 〓.
func encode(s string) string {
	var out bytes.Buffer
	for _, r := range s {
		if r > 0xFFFF || utf16.IsSurrogate(r) || r < 0x20 {
			r = '〓'
		}
		fmt.Fprintf(&out, "%04X", r)
	}
	return out.String()
}

// WriteTo writes the file. Errors are those of w.
func (d *Document) WriteTo(w io.Writer) (int64, error) {
	f := &file{}
	f.out.WriteString("%PDF-1.4\n%\xE2\xE3\xCF\xD3\n")
	kids := ""
	for i := range d.pages {
		kids += fmt.Sprintf("%d 0 R ", 5+2*i)
	}
	f.object("<< /Type /Catalog /Pages 2 0 R >>")
	f.object(fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", kids, len(d.pages)))
	f.object("<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [4 0 R] >>")
	f.object("<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> /DW 1000 /W [1 95 500] " +
		"/FontDescriptor << /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >> >>")
	for i, p := range d.pages {
		fmt.Fprintf(p, "BT /F1 8 Tf %d 22 Td <%s> Tj ET\n", margin, encode(fmt.Sprintf("%s　第 %d / %d 页", d.foot, i+1, len(d.pages))))
		f.object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>", pageWidth, pageHeight, 6+2*i))
		f.object(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", p.Len(), p.Bytes()))
	}
	return f.finish(w)
}

// file lays out numbered objects and their cross-reference table.
type file struct {
	out     bytes.Buffer
	offsets []int
}

func (f *file) object(body string) {
	f.offsets = append(f.offsets, f.out.Len())
	fmt.Fprintf(&f.out, "%d 0 obj\n%s\nendobj\n", len(f.offsets), body)
}

func (f *file) finish(w io.Writer) (int64, error) {
	start := f.out.Len()
	fmt.Fprintf(&f.out, "xref\n0 %d\n0000000000 65535 f \n", len(f.offsets)+1)
	for _, o := range f.offsets {
		fmt.Fprintf(&f.out, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&f.out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(f.offsets)+1, start)
	return f.out.WriteTo(w)
}
