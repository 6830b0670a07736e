// Package web holds what browsers get: templates, styles and scripts, embedded
// in the binary. Third-party scripts are fetched by `make setup` into
// static/vendor and are not part of the repository; pages work without them.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"strings"
	"time"
)

// Policy is the Content-Security-Policy of every page: only our own scripts run;
// charts set styles from script.
const Policy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'; form-action 'self'; base-uri 'self'"

//go:embed all:static shared analysts console features guide supervision workbench
var files embed.FS

// Static returns the files served under /static.
func Static() fs.FS {
	sub, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the embedded tree always has it
	}
	return sub
}

// Pages parses the shared layout and the templates of one application folder
// (e.g. "console"). Times are shown in zone.
func Pages(app string, zone *time.Location) (*template.Template, error) {
	assets := hashes()
	funcs := template.FuncMap{
		"asset":   func(name string) string { return "/static/" + name + "?v=" + assets[name] },
		"has":     func(name string) bool { return assets[name] != "" },
		"date":    func(t time.Time) string { return t.In(zone).Format("2006-01-02") },
		"time":    func(t time.Time) string { return t.In(zone).Format("01-02 15:04:05") },
		"clock":   func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05") },
		"count":   Count[int64],
		"decimal": Decimal,
		"add":     func(a, b int) int { return a + b },
		"bytes":   Bytes,
	}
	t, err := template.New(app).Funcs(funcs).ParseFS(files, "shared/*.html", app+"/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse pages of %s: %w", app, err)
	}
	return t, nil
}

// hashes gives each static file a short content hash, so that browsers may
// cache it for ever.
func hashes() map[string]string {
	out := map[string]string{}
	_ = fs.WalkDir(Static(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(Static(), path)
		sum := sha256.Sum256(b)
		out[path] = hex.EncodeToString(sum[:5])
		return err
	})
	return out
}

// Count writes a number with thousands separators: 1,234,567.
func Count[N ~int | ~int64](n N) string {
	s := fmt.Sprint(int64(n))
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		s = "-" + s
	}
	return s
}

// Decimal writes a number with up to two places and no thousands separators.
func Decimal(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// Bytes writes a size as people read it: 1.5 GB.
func Bytes(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
