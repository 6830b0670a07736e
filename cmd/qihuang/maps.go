package main

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/qihuang-health/qihuang/adapters/his"
	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/adapters/mapping/rows"
	"github.com/qihuang-health/qihuang/apps/console"
	"github.com/qihuang-health/qihuang/configs/maps"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// MapsConfig says where an installation keeps its own maps.
type MapsConfig struct {
	Folder string `yaml:"folder"` // NAME.yaml, each in place of the shipped one of its name; watched
}

func (c MapsConfig) validate() error {
	if c.Folder == "" {
		return nil
	}
	if st, err := os.Stat(c.Folder); err != nil || !st.IsDir() {
		return fault.New(fault.Invalid, "配置 maps.folder 的目录 %q 不存在", c.Folder)
	}
	return nil
}

// shippedMaps are the maps in the binary.
func shippedMaps() fs.FS { return maps.Files }

// conceptMaps answers the maps' questions on codes from the ConceptMaps the hub
// knows.
type conceptMaps struct {
	terms   *terminology.Service
	refresh func(context.Context) error // takes in what was stored; may be nil
}

// Translate implements mapping.Codes: the first target that is one.
func (c conceptMaps) Translate(ctx context.Context, conceptMap, system, code string) (mapping.Coding, bool, error) {
	if c.refresh != nil {
		if err := c.refresh(ctx); err != nil {
			return mapping.Coding{}, false, err
		}
	}
	list, err := c.terms.Translate(ctx, terminology.TranslateRequest{Map: conceptMap, System: system, Code: code})
	for _, m := range list {
		if m.Code != "" && m.Equivalence != "unmatched" && m.Equivalence != "disjoint" {
			return mapping.Coding{System: m.System, Code: m.Code, Display: m.Display}, true, nil
		}
	}
	return mapping.Coding{}, false, err
}

// openBook compiles the maps in force. versions is the folder of saved ones.
func openBook(cfg MapsConfig, versions string, k knowledge, codes mapping.Codes, zone *time.Location, clk clock.Clock, log *slog.Logger) (*mapping.Book, error) {
	c := mapping.NewCompiler(k.model, codes, zone, his.Shape)
	return mapping.OpenBook(mapping.BookConfig{Shipped: shippedMaps(), Folder: cfg.Folder, Versions: versions}, c, clk, log)
}

// takeTerms takes stored ConceptMaps in, once the hub follows them.
func (h *hub) takeTerms(ctx context.Context) error {
	if h.refreshTerms == nil {
		return nil
	}
	return h.refreshTerms(ctx)
}

// openMaps makes the maps and the sink of the messages they take; visit takes
// the visit documents they write.
func (h *hub) openMaps(visit func(context.Context, *pipeline.Message, []byte) error) (err error) {
	if h.maps, err = openBook(h.cfg.Maps, h.dir("maps"), h.knowledge, conceptMaps{h.terms, h.takeTerms}, h.zone, h.clock, h.log); err != nil {
		return err
	}
	if h.tally, err = mapping.OpenTally(h.dir("codes.json"), h.clock); err != nil {
		return err
	}
	staged, err := rows.Open(h.dir("rows"), nil)
	if err != nil {
		return err
	}
	h.onClose(staged.Close)
	sink := mapping.NewSink(h.maps, h.sinkStore("maps"), mapping.SinkParts{Rows: staged, Unmapped: h.missed,
		Shapes: map[string]func(context.Context, *pipeline.Message, []byte) error{his.Shape: visit}})
	h.rows = staged
	for _, kind := range []string{mapping.KindV2, mapping.KindXML, mapping.KindJSON, mapping.KindRows} {
		h.inbound.Handle(kind, sink)
	}
	return nil
}

// maxTraced bounds the sources of one message that are explained.
const maxTraced = 5

// mapSteps explains which expression of a map made which value of a message's
// resources; nothing for messages that no map handles.
func (h *hub) mapSteps(ctx context.Context, m *pipeline.Message) ([]console.Step, error) {
	switch m.Kind {
	case mapping.KindV2, mapping.KindXML, mapping.KindJSON, mapping.KindRows:
	default:
		return nil, nil
	}
	list, err := mapping.Sources(m)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var mp *mapping.Map
	if joined := h.maps.Joined(list[0].Name); m.Kind == mapping.KindRows && len(joined) > 0 {
		mp = joined[0]
		if list, err = mp.Join(ctx, h.rows, m.Source, list); err != nil {
			return nil, err
		}
	}
	var steps []console.Step
	for _, src := range list[:min(len(list), maxTraced)] {
		use := mp
		if use == nil {
			if use, err = h.maps.Find(ctx, src); err != nil {
				return steps, err
			}
		}
		out, err := use.Trace(ctx, src)
		for _, s := range out.Trace {
			steps = append(steps, console.Step{Resource: s.Resource, Path: s.Path, Value: s.Value, From: s.From, Map: s.Map, Line: s.Line})
		}
		if err != nil {
			return steps, err
		}
	}
	return steps, nil
}
