// Package supervision is 中医临床业务监管: the indicators of the halls on one
// screen, by place, hall, doctor and time, compared with the past and with
// peers, down to the records behind a number. Everything a page asks stands in
// its URL; every table can be taken as CSV, Excel or PDF with the same numbers.
package supervision

import (
	"context"
	"html/template"
	"log/slog"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	"github.com/qihuang-health/qihuang/apps/supervision/queue"
	"github.com/qihuang-health/qihuang/apps/supervision/report"
	"github.com/qihuang-health/qihuang/apps/supervision/review"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// Config says how the pages show themselves.
type Config struct {
	Version string
	Local   bool // loopback without login: pages say so
	// MinDenominator is the count below which a ratio is marked as resting on
	// few cases.
	MinDenominator float64
	// SmallCell is the count below which tables for the public suppress a cell.
	SmallCell float64
	// Patience is how long a page waits for an ad-hoc table before it shows its
	// place in the queue and its progress.
	Patience time.Duration
}

// Default is the configuration of a hub without one.
func Default() Config { return Config{MinDenominator: 30, SmallCell: 10, Patience: 5 * time.Second} }

// Parts are what the pages are made from.
type Parts struct {
	Measures  *measures.Catalogue
	Knowledge *rational.Knowledge // rules of rational use
	SQL       measures.Querier
	Desk      *alerts.Desk                                  // alerts and tasks
	Refused   func(context.Context) (map[string]int, error) // messages waiting for repair, by source or hall
	Reviews   *review.Desk                                  // samples and judgements of prescriptions
	Reports   *report.Desk
	Papers    *cabinet.Cabinet // saved tables
	Door      *Door
	Now       func() time.Time
	Log       *slog.Logger
}

// App serves the pages; it is safe for concurrent use.
type App struct {
	Parts
	cfg   Config
	pages *template.Template
	queue *queue.Queue[pivot]

	mu      sync.Mutex
	places  *places        // the directory of halls, as last read
	read    time.Time      // when
	open    []*alerts.Task // alerts, as last read
	counted time.Time      // when
}

// New makes the application. An error means a broken build.
func New(cfg Config, parts Parts) (*App, error) {
	pages, err := web.Pages("supervision", measures.Shanghai())
	if err != nil {
		return nil, err
	}
	return &App{Parts: parts, cfg: cfg, pages: pages, queue: queue.New[pivot](queue.Default())}, nil
}
