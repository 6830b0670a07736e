package main

import (
	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/apps/workbench"
	"github.com/qihuang-health/qihuang/pipeline"
)

// missed counts codes that a message brought and nobody mapped yet.
func (h *hub) missed(m *pipeline.Message, list []mapping.Unmapped) { h.tally.Add(m.Source, m.ID, list) }

// mountWorkbench adds the pages where codes and maps are worked on.
func (h *hub) mountWorkbench(r gin.IRouter) error {
	w, err := workbench.New(workbench.Config{Version: version, Zone: h.zone, Local: h.cfg.loopback()},
		workbench.Parts{Book: h.maps, Tally: h.tally, Terms: h.terms, Store: h.sinkStore("workbench"), Letters: h.letters,
			Replay: h.Replay, Clock: h.clock, Log: h.log})
	if err != nil {
		return err
	}
	w.Mount(r)
	return nil
}
