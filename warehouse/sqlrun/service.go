package sqlrun

import (
	"context"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// Config are the limits of the operations.
type Config struct {
	MaxRows  int           // rows of one answer of $sql-run; more needs $sql-export
	MaxBytes int           // bytes of one answer of $sql-run
	Folder   string        // where $sql-export keeps its files; "" = the system's temporary folder
	Keep     time.Duration // how long they are kept
}

// Default returns the limits used without a file.
func Default() Config {
	return Config{MaxRows: 1_000_000, MaxBytes: 256 << 20, Keep: time.Hour}
}

// Validate checks that the limits make sense.
func (c Config) Validate() error {
	if c.MaxRows < 1 || c.MaxBytes < 1 || c.Keep <= 0 {
		return fault.New(fault.Invalid, "sqlrun: limits must be positive")
	}
	return nil
}

// Searcher finds resources; *search.Engine is one.
type Searcher interface {
	Search(ctx context.Context, ix search.Index, req search.Request) (*search.Page, error)
}

// Querier runs SQL of Libraries; [ClickHouse] is one.
type Querier interface {
	// Query runs one SELECT with parameters bound by the server ({name:Type})
	// and writes the rows in an output format of ClickHouse to w.
	Query(ctx context.Context, sql string, params map[string]string, format string, w io.Writer) error
}

// Parts are what a Service is made of. Without SQL, Libraries are refused.
type Parts struct {
	Store  store.Reader
	Search Searcher
	Paths  *fhirpath.Engine
	SQL    Querier
	Views  iter.Seq2[string, []byte] // the registered ViewDefinitions, by file name
	Now    func() time.Time
}

// Service runs views. Make it with New; it is safe for concurrent use.
type Service struct {
	cfg   Config
	parts Parts
	named map[string]*views.View // by url, name and id

	tableNames map[*views.View]string // where not the view's name

	mu      sync.Mutex
	exports map[string]*export
}

// New compiles the registered views. Errors: a wrong configuration or view.
func New(cfg Config, parts Parts) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if parts.Now == nil {
		parts.Now = time.Now
	}
	s := &Service{cfg: cfg, parts: parts, named: map[string]*views.View{},
		tableNames: map[*views.View]string{}, exports: map[string]*export{}}
	if parts.Views == nil {
		return s, nil
	}
	for file, def := range parts.Views {
		tree, err := fhir.Parse(def)
		if err != nil {
			return nil, fault.New(fault.Invalid, "view %s: %w", file, err)
		}
		v, err := views.CompileNode(tree.Root(), parts.Paths)
		if err != nil {
			return nil, fault.New(fault.Invalid, "view %s: %w", file, err)
		}
		for x := range tree.Root().Get("extension").Each() {
			if x.Get("url").Str() == tableExtension {
				s.tableNames[v] = x.Get("valueString").Str()
			}
		}
		for _, key := range [...]string{v.URL, v.Name, tree.Root().Get("id").Str()} {
			if key != "" {
				s.named[key] = v
			}
		}
	}
	return s, nil
}

// View returns a registered view by canonical (a |version is ignored),
// reference (ViewDefinition/id), name or id; fault.NotFound.
func (s *Service) View(ref string) (*views.View, error) {
	key, _, _ := strings.Cut(strings.TrimPrefix(ref, "ViewDefinition/"), "|")
	if v := s.named[key]; v != nil {
		return v, nil
	}
	return nil, fault.New(fault.NotFound, "no such view").With(fault.Issue{Severity: "error", Code: "not-found", Key: "view",
		Text: "没有这个视图：" + clip(ref), TextEN: "there is no view " + clip(ref)})
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

func invalid(key, zh, en string) error {
	return fault.New(fault.Invalid, "%s", en).With(fault.Issue{Severity: "error", Code: "invalid", Key: key, Text: zh, TextEN: en})
}

// unprocessable is a subject of the wrong kind or one that cannot be compiled:
// 422 at the REST edge.
func unprocessable(zh string, err error) error {
	return fault.New(fault.Invalid, "the subject cannot be run").With(fault.Issue{Severity: "error", Code: "business-rule", Key: "subject",
		Text: zh + "：" + err.Error(), TextEN: err.Error()})
}
