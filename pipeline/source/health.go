package source

import (
	"time"

	"github.com/qihuang-health/qihuang/pipeline/inbound"
)

const (
	minutes = 60 // of the rate's memory
	quarter = 15
)

// health counts what a source did, since the start and by the minute.
type health struct {
	since         time.Time // counting began
	total         Counts
	ring          [minutes]Counts
	minute        int64 // of the ring's newest entry, since 1970
	lastMessage   time.Time
	lastDone      time.Time
	lastError     time.Time
	lastErrorText string
	lastTry       time.Time // of a poller
	waiting       int64     // received and not settled
}

// Counts are numbers of messages.
type Counts struct {
	Received int64 `json:"received"`
	Done     int64 `json:"done"`
	Repeat   int64 `json:"repeat"`
	Dead     int64 `json:"dead"`
	Parked   int64 `json:"parked"`
}

// Status is how a source is. It holds no health data.
type Status struct {
	Name        string     `json:"name"`
	Kind        string     `json:"kind"`
	Note        string     `json:"note,omitempty"`
	Paused      bool       `json:"paused"`
	Held        bool       `json:"held"` // paused, or outside its hours
	Total       Counts     `json:"total"`
	Hour        Counts     `json:"lastHour"`
	Rate        float64    `json:"ratePerMinute"` // messages per minute over the last quarter hour
	ErrorShare  float64    `json:"errorPercent"`  // of what was settled in the last quarter hour
	Waiting     int64      `json:"waiting"`       // received by this process and not handled yet
	LastMessage *time.Time `json:"lastMessage,omitempty"`
	LastTry     *time.Time `json:"lastTry,omitempty"`
	LastError   *time.Time `json:"lastError,omitempty"`
	ErrorText   string     `json:"lastErrorText,omitempty"`
	Alerts      int        `json:"alerts"`
}

func (h *health) slot(now time.Time) *Counts {
	m := now.Unix() / 60
	if m-h.minute >= minutes {
		h.ring, h.minute = [minutes]Counts{}, m
	}
	for h.minute < m {
		h.minute++
		h.ring[h.minute%minutes] = Counts{}
	}
	return &h.ring[m%minutes]
}

func (h *health) received(now time.Time) {
	h.slot(now).Received++
	h.total.Received++
	h.lastMessage = now
}

func (h *health) settled(now time.Time, s inbound.State, reason string) {
	h.waiting = max(0, h.waiting-1)
	for _, c := range []*Counts{h.slot(now), &h.total} {
		switch s {
		case inbound.Done:
			c.Done++
		case inbound.Repeat:
			c.Repeat++
		case inbound.Dead:
			c.Dead++
		case inbound.Parked:
			c.Parked++
		}
	}
	switch s {
	case inbound.Done:
		h.lastDone = now
	case inbound.Dead:
		h.lastError, h.lastErrorText = now, reason
	}
}

// over sums the last n minutes.
func (h *health) over(now time.Time, n int) (sum Counts) {
	h.slot(now)
	m := now.Unix() / 60
	for i := range int64(n) {
		c := h.ring[(m-i)%minutes]
		sum.Received += c.Received
		sum.Done += c.Done
		sum.Repeat += c.Repeat
		sum.Dead += c.Dead
		sum.Parked += c.Parked
	}
	return sum
}

// share is the percentage of refused messages among the settled ones.
func (c Counts) share() float64 {
	if n := c.Done + c.Repeat + c.Dead; n > 0 {
		return 100 * float64(c.Dead) / float64(n)
	}
	return 0
}

func (l *line) status(now time.Time) Status {
	recent := l.over(now, quarter)
	return Status{Name: l.name, Kind: l.kind, Note: l.note, Paused: l.paused, Total: l.total, Hour: l.over(now, minutes),
		Rate: float64(recent.Received) / quarter, ErrorShare: recent.share(), Waiting: l.waiting,
		LastMessage: some(l.lastMessage), LastTry: some(l.lastTry), LastError: some(l.lastError), ErrorText: l.lastErrorText}
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
