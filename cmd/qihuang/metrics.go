package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges are the hub's own figures for Prometheus, read when asked.
type gauges struct{ hub *hub }

var (
	metricReady        = prometheus.NewDesc("qihuang_ready", "1 when every view has caught up with the log.", nil, nil)
	metricReceived     = prometheus.NewDesc("qihuang_inbound_messages_total", "Messages ever received.", nil, nil)
	metricWaiting      = prometheus.NewDesc("qihuang_inbound_waiting", "Messages received and not yet handled.", nil, nil)
	metricDead         = prometheus.NewDesc("qihuang_dead_letters", "Refused messages that nobody has repaired.", nil, nil)
	metricApplied      = prometheus.NewDesc("qihuang_repository_applied_offset", "Log position the repository stands at.", nil, nil)
	metricCompactions  = prometheus.NewDesc("qihuang_repository_compactions", "Compactions of the repository that run or are due.", nil, nil)
	metricDisk         = prometheus.NewDesc("qihuang_repository_disk_bytes", "Size of the repository on disk.", nil, nil)
	metricWarehouseLag = prometheus.NewDesc("qihuang_warehouse_waiting", "Changes not yet in SQL.", nil, nil)
	metricRows         = prometheus.NewDesc("qihuang_warehouse_rows_total", "Rows written to the warehouse since the start.", nil, nil)
	metricRefused      = prometheus.NewDesc("qihuang_warehouse_rows_refused_total", "Rows a view refused since the start.", nil, nil)
	metricRestarts     = prometheus.NewDesc("qihuang_engine_restarts_total", "Restarts of the embedded ClickHouse engine.", nil, nil)
	metricSnapshots    = prometheus.NewDesc("qihuang_repository_snapshots", "Snapshots kept in the object store.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{metricReady, metricReceived, metricWaiting, metricDead, metricApplied, metricDisk, metricCompactions, metricWarehouseLag, metricRows, metricRefused, metricRestarts, metricSnapshots} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h := g.hub
	s, rows, use := h.Stats(ctx), h.sink.Stats(), h.store.Usage()
	ready, restarts := 0, 0
	if h.ready() {
		ready = 1
	}
	if h.engine != nil {
		restarts = h.engine.Restarts()
	}
	for _, m := range []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value int64
	}{
		{metricReady, prometheus.GaugeValue, int64(ready)}, {metricReceived, prometheus.CounterValue, s.Messages}, {metricWaiting, prometheus.GaugeValue, s.Lag},
		{metricDead, prometheus.GaugeValue, s.DeadLetters}, {metricApplied, prometheus.GaugeValue, s.Applied}, {metricDisk, prometheus.GaugeValue, use.Disk}, {metricCompactions, prometheus.GaugeValue, use.Compactions},
		{metricWarehouseLag, prometheus.GaugeValue, s.WarehouseLag}, {metricRows, prometheus.CounterValue, rows.Rows}, {metricRefused, prometheus.CounterValue, rows.Skipped},
		{metricRestarts, prometheus.CounterValue, int64(restarts)}, {metricSnapshots, prometheus.GaugeValue, h.keeper.snapshots.Load()},
	} {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value))
	}
}
