package source

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Alert is something an operator should look at. It holds no health data.
type Alert struct {
	ID     string     `json:"id"`
	Source string     `json:"source"`
	Kind   string     `json:"kind"` // silent | failing | unreachable | file | clock …
	Text   string     `json:"text"` // Chinese
	Opened time.Time  `json:"opened"`
	Seen   *time.Time `json:"acknowledged,omitempty"` // an operator took note
	Closed *time.Time `json:"closed,omitempty"`
}

// The kinds of alert that pass by themselves: the desk raises the first two,
// pollers the third.
const (
	Silent      = "silent"
	Failing     = "failing"
	Unreachable = "unreachable"
)

const (
	keptAlerts = 500
	checkEvery = 5 * time.Second
)

// Raise opens an alert; one that is open already stays, with the newer text.
func (d *Desk) Raise(source, kind, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raise(source, kind, text)
}

func (d *Desk) raise(source, kind, text string) {
	if a := d.openAlert(source, kind); a != nil {
		a.Text = text
		return
	}
	d.alerts = append(d.alerts, &Alert{ID: d.parts.IDs.Next(), Source: source, Kind: kind, Text: text, Opened: d.parts.Clock.Now()})
	if surplus := len(d.alerts) - keptAlerts; surplus > 0 {
		d.alerts = slices.Delete(d.alerts, 0, surplus)
	}
	d.parts.Log.Warn("alert", "source", source, "alert", kind)
	d.saveAlerts()
}

// Clear closes an alert, if it is open.
func (d *Desk) Clear(source, kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear(source, kind)
}

func (d *Desk) clear(source, kind string) {
	a := d.openAlert(source, kind)
	if a == nil {
		return
	}
	now := d.parts.Clock.Now()
	a.Closed = &now
	d.parts.Log.Info("alert closed", "source", source, "alert", kind)
	d.saveAlerts()
}

func (d *Desk) openAlert(source, kind string) *Alert {
	for _, a := range d.alerts {
		if a.Source == source && a.Kind == kind && a.Closed == nil {
			return a
		}
	}
	return nil
}

func (d *Desk) saveAlerts() {
	if err := d.save(); err != nil {
		d.parts.Log.Error("save alerts", "error", err)
	}
}

// Acknowledge notes that an operator has seen an alert; false if there is none.
// An alert that nothing else would close is closed by it.
func (d *Desk) Acknowledge(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.alerts {
		if a.ID == id {
			now := d.parts.Clock.Now()
			a.Seen = &now
			if a.Closed == nil && a.Kind != Silent && a.Kind != Failing && a.Kind != Unreachable {
				a.Closed = &now
			}
			d.saveAlerts()
			return true
		}
	}
	return false
}

// Alerts returns the open alerts, then the closed ones, newest first.
func (d *Desk) Alerts() []Alert {
	d.mu.Lock()
	defer d.mu.Unlock()
	var open, closed []Alert
	for _, a := range slices.Backward(d.alerts) {
		if a.Closed == nil {
			open = append(open, *a)
		} else {
			closed = append(closed, *a)
		}
	}
	return append(open, closed...)
}

// Trouble tells of a poller that cannot reach its partner, or of anything else
// that is wrong with a source itself: an alert of that kind.
func (d *Desk) Trouble(source, kind, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.line(source)
	l.lastTry = d.parts.Clock.Now()
	l.lastError, l.lastErrorText = l.lastTry, text
	d.raise(source, kind, text)
}

// Fine tells that a poller did its round.
func (d *Desk) Fine(source, kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line(source).lastTry = d.parts.Clock.Now()
	d.clear(source, kind)
}

// Run looks after silent and failing sources until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.Check()
		case <-ctx.Done():
			return nil
		}
	}
}

// Check raises and clears the alerts of silence and failure.
func (d *Desk) Check() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.parts.Clock.Now()
	for _, l := range d.lines {
		recent := l.over(now, quarter)
		if share := recent.share(); l.rules.Failing > 0 && recent.Dead > 0 && share >= float64(l.rules.Failing) {
			d.raise(l.name, Failing, fmt.Sprintf("近 15 分钟有 %d 条消息被拒收（%.0f%%），请到待修复消息处理", recent.Dead, share))
		} else if recent.Dead == 0 || share < float64(l.rules.Failing) {
			d.clear(l.name, Failing)
		}
		quiet := l.since
		if l.lastMessage.After(quiet) {
			quiet = l.lastMessage
		}
		switch {
		case l.rules.Silence == 0 || l.paused || !l.rules.open(now.In(d.cfg.Zone)):
			d.clear(l.name, Silent)
		case now.Sub(quiet) > l.rules.Silence:
			d.raise(l.name, Silent, "超过 "+l.rules.Silence.String()+" 没有收到消息，请检查对方系统与网络")
		default:
			d.clear(l.name, Silent)
		}
	}
}
