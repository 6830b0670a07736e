package main

import (
	"bytes"
	"errors"
	"io"

	"github.com/qihuang-health/qihuang/adapters/his"
	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/apps/console"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/replay"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// flow is what the console's pages of sources and messages stand on.
func (h *hub) flow() *console.Flow {
	r := replay.New(replay.Parts{Queue: h.inbound, Journal: h.journal, Letters: h.letters, IDs: pipeline.NewIDs(h.clock), Clock: h.clock, Try: h.checkMessage})
	return &console.Flow{Desk: h.desk, Journal: h.journal, Replay: r, Try: h.explainMessage, Steps: h.mapSteps, AcceptColumns: h.acceptColumns, Sample: h.sample}
}

// acceptColumns forgets the columns of a source's tables: the next file or
// round sets them anew.
func (h *hub) acceptColumns(name string) error {
	s := h.states[name]
	if s == nil {
		return fault.New(fault.NotFound, "配置里没有名为 %.60q 的来源", name)
	}
	return s.Forget("columns:")
}

// sample makes a message of a source as its door would: of a table's file the
// rows, of a HIS push its service.
func (h *hub) sample(name, tableName string, body []byte) (*pipeline.Message, error) {
	kind, contentType := source.KindOf(body)
	for _, c := range h.cfg.Sources {
		if c.Name == name && c.Map != "" {
			kind = c.Map
		}
	}
	switch {
	case bytes.Contains(body, []byte("TCM_HIS_01")):
		kind = his.Kind01
	case bytes.Contains(body, []byte("TCM_HIS_02")):
		kind = his.Kind02
	case kind == "":
		b, err := rowsOf(body, tableName)
		if err != nil {
			return nil, err
		}
		kind, contentType, body = table.Kind, "application/json", b
	}
	return h.desk.Intake(name).Message(kind, "selftest", contentType, "", body), nil
}

// rowsOf reads the beginning of a table file.
func rowsOf(body []byte, name string) ([]byte, error) {
	if name == "" {
		name = "TABLE"
	}
	rd, err := table.Open(table.Source{Name: name + ".csv", Data: bytes.NewReader(body), Size: int64(len(body))})
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	b := &table.Batch{Table: name, Columns: append([]string(nil), rd.Columns()...)}
	for len(b.Rows) < 20 {
		row, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "%w", err)
		}
		b.Add(row.Number, row.Values)
	}
	return b.JSON(), nil
}
