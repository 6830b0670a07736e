package mapping

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// BookConfig says where maps come from. A later place wins over an earlier one:
// the shipped files, the folder of the installation, versions saved in the hub.
type BookConfig struct {
	Shipped  fs.FS         // files name.yaml
	Folder   string        // of the installation, watched; "" = none
	Versions string        // folder of saved versions; "" = maps cannot be saved
	Every    time.Duration // how often Folder is looked at
}

// Book holds the maps in force. Reading it never waits: a new set takes the
// place of the old one at once, and messages that are being mapped end with the
// map they began with.
type Book struct {
	cfg      BookConfig
	compiler *Compiler
	clock    clock.Clock
	log      *slog.Logger
	shelf    atomic.Pointer[shelf]
	mu       sync.Mutex // of changes
	seen     string     // state of Folder at the last look
}

// shelf is one consistent set of maps.
type shelf struct {
	order     []*Map // as messages are offered to them
	libraries []Library
	origin    map[string]string // name → shipped | folder | saved
}

// file is the text of a map or library and where it came from.
type file struct {
	name, origin string
	text         []byte
}

// OpenBook compiles all maps. One that does not compile is an error at the
// start; later ones leave the set in force as it is.
func OpenBook(cfg BookConfig, c *Compiler, clk clock.Clock, log *slog.Logger) (*Book, error) {
	b := &Book{cfg: cfg, compiler: c, clock: clk, log: log}
	if cfg.Every == 0 {
		b.cfg.Every = 5 * time.Second
	}
	return b, b.Reload()
}

// Reload reads all places again and puts the new set in force.
func (b *Book) Reload() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reload()
}

func (b *Book) reload() error {
	files, err := b.files()
	if err != nil {
		return err
	}
	s, err := b.compile(files)
	if err != nil {
		return err
	}
	b.shelf.Store(s)
	return nil
}

// Run watches the folders until ctx ends: other programs write there, too. A change that does
// not compile is logged once and changes nothing.
func (b *Book) Run(ctx context.Context) error {
	b.seen = b.state()
	tick := time.NewTicker(b.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			b.look(ctx)
		}
	}
}

func (b *Book) look(ctx context.Context) {
	now := b.state()
	if now == b.seen {
		return
	}
	b.seen = now
	if err := b.Reload(); err != nil {
		b.log.ErrorContext(ctx, "maps not reloaded", "error", err)
		return
	}
	b.log.InfoContext(ctx, "maps reloaded")
}

// state tells whether the folders changed: names and times of their files.
func (b *Book) state() string {
	var s strings.Builder
	for _, dir := range []string{b.cfg.Folder, b.cfg.Versions} {
		if dir != "" {
			listing(&s, dir)
		}
	}
	return s.String()
}

// listing writes what is in a folder, and in the folders right below it.
func listing(s *strings.Builder, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // not there yet
	}
	for _, e := range entries {
		if in, err := e.Info(); err == nil {
			s.WriteString(e.Name() + " " + in.ModTime().String() + " ")
		}
	}
}

// files collects the texts in force, sorted by name.
func (b *Book) files() ([]file, error) {
	byName := map[string]file{}
	read := func(fsys fs.FS, origin string) error {
		names, err := fs.Glob(fsys, "*.yaml")
		for _, n := range names {
			text, err := fs.ReadFile(fsys, n)
			if err != nil {
				return fault.New(fault.Unavailable, "映射 %s 不能读：%w", n, err)
			}
			name := strings.TrimSuffix(path.Base(n), ".yaml")
			byName[name] = file{name, origin, text}
		}
		return err
	}
	if b.cfg.Shipped != nil {
		if err := read(b.cfg.Shipped, "shipped"); err != nil {
			return nil, err
		}
	}
	if b.cfg.Folder != "" {
		if err := read(os.DirFS(b.cfg.Folder), "folder"); err != nil {
			return nil, err
		}
	}
	saved, err := b.saved()
	if err != nil {
		return nil, err
	}
	for _, f := range saved {
		byName[f.name] = f
	}
	out := make([]file, 0, len(byName))
	for _, f := range byName {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return out, nil
}

// compile makes a set. Files that begin with "library:" are no maps themselves.
func (b *Book) compile(files []file) (*shelf, error) {
	s := &shelf{origin: map[string]string{}}
	for _, f := range files {
		s.origin[f.name] = f.origin
		if isLibrary(f.text) {
			s.libraries = append(s.libraries, Library{f.name, f.text})
		}
	}
	var errs []error
	for _, f := range files {
		if isLibrary(f.text) {
			continue
		}
		m, err := b.compiler.Compile(f.name, f.text, s.libraries...)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.order = append(s.order, m)
	}
	slices.SortStableFunc(s.order, byPrecedence)
	return s, errors.Join(errs...)
}

func isLibrary(text []byte) bool {
	var head struct {
		Library string `yaml:"library"`
	}
	return bytes.Contains(text, []byte("library:")) && yaml.Unmarshal(text, &head) == nil && head.Library != ""
}

// byPrecedence offers a message to the higher priority first, then to the map
// that names it more closely.
func byPrecedence(a, b *Map) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.width(), b.width()), cmp.Compare(a.Name, b.Name))
}

// width is how many kinds of message a map takes, roughly: names, patterns, all.
func (m *Map) width() int {
	if len(m.names) == 0 {
		return 1000
	}
	w := len(m.names)
	for _, n := range m.names {
		if strings.HasSuffix(n, "*") {
			w += 100
		}
	}
	return w
}

// Find returns the map for a message; fault.Unsupported if there is none.
func (b *Book) Find(ctx context.Context, src *Source) (*Map, error) {
	for _, m := range b.shelf.Load().order {
		if m.Matches(ctx, src) {
			return m, nil
		}
	}
	place := ""
	if src.Format == FormatV2 {
		place = "MSH-9"
	}
	return nil, fault.New(fault.Unsupported, "没有 %s 的映射", src.Name).With(fault.Issue{Severity: "error", Code: "not-supported", Key: "no-map",
		Text: fmt.Sprintf("没有适用于 %.40s 的映射", src.Name), TextEN: fmt.Sprintf("no map is for %.40s", src.Name), Expression: place,
		Hint: "请为它建一个映射后重放，或请发送方停发这类消息"})
}

// Get returns the map in force under a name; fault.NotFound.
func (b *Book) Get(name string) (*Map, error) {
	for _, m := range b.shelf.Load().order {
		if m.Name == name {
			return m, nil
		}
	}
	return nil, fault.New(fault.NotFound, "没有映射 %s", name)
}

// Maps returns the maps in force, as messages are offered to them.
func (b *Book) Maps() []*Map { return slices.Clone(b.shelf.Load().order) }

// Origin says where a map in force came from: shipped, folder or saved.
func (b *Book) Origin(name string) string { return b.shelf.Load().origin[name] }

// Compile compiles a text as it would be in force under a name, without putting
// it there: for an editor's preview.
func (b *Book) Compile(name string, text []byte) (*Map, error) {
	return b.compiler.Compile(name, text, b.shelf.Load().libraries...)
}
