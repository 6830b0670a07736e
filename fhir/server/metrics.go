package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts interactions by name and status; it sees no ids and no health
// data. The nil *Metrics counts nothing.
type Metrics struct {
	seconds *prometheus.HistogramVec
}

// NewMetrics registers the FHIR metrics with reg.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "qihuang_fhir_request_seconds",
		Help:    "Time to answer a FHIR interaction.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
	}, []string{"interaction", "status"})}
	return m, reg.Register(m.seconds)
}

func (m *Metrics) observe(interaction string, status int, d time.Duration) {
	if m != nil {
		m.seconds.WithLabelValues(interaction, strconv.Itoa(status)).Observe(d.Seconds())
	}
}
