package main

import (
	"github.com/qihuang-health/qihuang/adapters/hl7v2/mllp"
	"github.com/qihuang-health/qihuang/pipeline"
)

func (h *hub) mllpParts() mllp.Parts {
	return mllp.Parts{Inbound: h.desk, Letters: h.desk.Letters(), IDs: pipeline.NewIDs(h.clock), Clock: h.clock, Log: h.log}
}

// openMLLP opens the HL7 v2 port; run serves it.
func (h *hub) openMLLP() error {
	cfg := mllp.Default()
	cfg.Addr = h.cfg.addr(h.cfg.Ports.MLLP)
	if err := cfg.Validate(); err != nil {
		return err
	}
	l, err := mllp.Listen(cfg, h.mllpParts())
	if err != nil {
		return portTaken(err, cfg.Addr)
	}
	h.mllp = l
	return nil
}
