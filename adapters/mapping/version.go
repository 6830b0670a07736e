package mapping

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Saved is one saved version of a map: files NNNN.yaml and NNNN.json in the
// folder of its name. The highest number is in force.
type Saved struct {
	Number  int       `json:"number"`  // 1, 2, 3 …; 0 = what was there before the first
	Version string    `json:"version"` // as in [Map.Version]
	Time    time.Time `json:"time"`
	Author  string    `json:"author,omitempty"`
	Comment string    `json:"comment,omitempty"`
}

var mapName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// Save puts a new version of a map in force and keeps it. The text must compile
// and pass its own tests, else fault.Invalid and nothing changes.
func (b *Book) Save(ctx context.Context, name string, text []byte, author, comment string) (Saved, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.save(ctx, name, text, author, comment)
}

func (b *Book) save(ctx context.Context, name string, text []byte, author, comment string) (Saved, error) {
	if b.cfg.Versions == "" {
		return Saved{}, fault.New(fault.Unsupported, "没有设置映射版本的目录，不能保存")
	}
	if !mapName.MatchString(name) {
		return Saved{}, fault.New(fault.Invalid, "映射名 %q 只能用小写字母、数字、点、横线", name)
	}
	m, err := b.Compile(name, text)
	if err != nil {
		return Saved{}, err
	}
	if _, failures := m.Test(ctx); len(failures) > 0 {
		e := fault.New(fault.Invalid, "映射 %s 的测试没有通过", name)
		for _, f := range failures {
			e.Issues = append(e.Issues, fault.Issue{Severity: "error", Code: "invariant", Key: "map-test", Text: f.Test + "：" + f.Text, Line: f.Line, Col: 1})
		}
		return Saved{}, e
	}
	list, err := b.history(name)
	if err != nil {
		return Saved{}, err
	}
	v := Saved{Number: 1, Version: m.Version, Time: b.clock.Now().UTC().Truncate(time.Second), Author: author, Comment: comment}
	if len(list) > 0 {
		v.Number = list[len(list)-1].Number + 1
	}
	if err := b.keep(name, v, text); err != nil {
		return Saved{}, err
	}
	return v, b.reload()
}

// keep writes the text first and what it is last: a version without its JSON is
// none.
func (b *Book) keep(name string, v Saved, text []byte) error {
	dir := filepath.Join(b.cfg.Versions, name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fault.New(fault.Unavailable, "映射版本不能保存：%w", err)
	}
	about, err := json.Marshal(v)
	if err != nil {
		return err
	}
	base := filepath.Join(dir, numbered(v.Number))
	for _, f := range []struct {
		name string
		data []byte
	}{{base + ".yaml", text}, {base + ".json", about}} {
		if err := writeFile(f.name, f.data); err != nil {
			return fault.New(fault.Unavailable, "映射版本不能保存：%w", err)
		}
	}
	return nil
}

func numbered(n int) string {
	s := strconv.Itoa(n)
	return strings.Repeat("0", max(0, 4-len(s))) + s
}

// writeFile writes a file whole or not at all.
func writeFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// History returns the saved versions of a map, the oldest first.
func (b *Book) History(name string) ([]Saved, error) {
	if !mapName.MatchString(name) {
		return nil, fault.New(fault.NotFound, "没有映射 %s", name)
	}
	return b.history(name)
}

func (b *Book) history(name string) ([]Saved, error) {
	if b.cfg.Versions == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(filepath.Join(b.cfg.Versions, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "映射版本不能读：%w", err)
	}
	var out []Saved
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(b.cfg.Versions, name, e.Name()))
		var v Saved
		if err == nil {
			err = json.Unmarshal(data, &v)
		}
		if err != nil {
			return nil, fault.New(fault.Unavailable, "映射版本 %s 不能读：%w", e.Name(), err)
		}
		out = append(out, v)
	}
	return out, nil
}

// saved returns the newest saved version of every map.
func (b *Book) saved() ([]file, error) {
	if b.cfg.Versions == "" {
		return nil, nil
	}
	dirs, err := os.ReadDir(b.cfg.Versions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "映射版本不能读：%w", err)
	}
	var out []file
	for _, d := range dirs {
		list, err := b.history(d.Name())
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			continue
		}
		text, err := b.text(d.Name(), list[len(list)-1].Number)
		if err != nil {
			return nil, err
		}
		out = append(out, file{d.Name(), "saved", text})
	}
	return out, nil
}

// Text returns the text of a saved version; number 0 is the one that was there
// before any was saved. fault.NotFound.
func (b *Book) Text(name string, number int) ([]byte, error) {
	if !mapName.MatchString(name) {
		return nil, fault.New(fault.NotFound, "没有映射 %s", name)
	}
	return b.text(name, number)
}

func (b *Book) text(name string, number int) ([]byte, error) {
	file := name + ".yaml"
	var places []fs.FS
	switch {
	case number > 0 && b.cfg.Versions != "":
		file, places = numbered(number)+".yaml", []fs.FS{os.DirFS(filepath.Join(b.cfg.Versions, name))}
	case number == 0 && b.cfg.Folder != "":
		places = []fs.FS{os.DirFS(b.cfg.Folder)}
		fallthrough
	case number == 0 && b.cfg.Shipped != nil:
		places = append(places, b.cfg.Shipped)
	}
	for _, p := range places {
		if text, err := fs.ReadFile(p, file); err == nil {
			return text, nil
		}
	}
	return nil, fault.New(fault.NotFound, "映射 %s 没有版本 %d", name, number)
}

// Rollback puts the text of an earlier version in force again, as a new one.
func (b *Book) Rollback(ctx context.Context, name string, number int, author string) (Saved, error) {
	text, err := b.Text(name, number)
	if err != nil {
		return Saved{}, err
	}
	return b.Save(ctx, name, text, author, "回退到版本 "+strconv.Itoa(number))
}
