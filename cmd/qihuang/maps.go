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
	for _, kind := range []string{mapping.KindV2, mapping.KindXML, mapping.KindJSON, mapping.KindRows} {
		h.inbound.Handle(kind, sink)
	}
	return nil
}
