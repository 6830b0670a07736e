package inbound

import "sync"

// hands holds handling back while a crowd of senders waits for the log:
// processor and disk are then theirs, because what is late to be acknowledged
// comes twice, and what is late to be handled does not.
type hands struct {
	crowd  int // that many waiting senders
	beside int // leave so many messages to be handled at once

	mu      sync.Mutex
	free    sync.Cond
	senders int
	busy    int
}

func newHands(crowd, beside int) *hands {
	h := &hands{crowd: crowd, beside: beside}
	h.free.L = &h.mu
	return h
}

// take waits until one more message may be handled; put ends that.
func (h *hands) take() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.senders >= h.crowd && h.busy >= h.beside {
		h.free.Wait()
	}
	h.busy++
}

func (h *hands) put() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy--
	h.free.Signal()
}

// comes counts a sender that waits; goes ends that.
func (h *hands) comes() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.senders++
}

func (h *hands) goes() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.senders--; h.senders == h.crowd-1 {
		h.free.Broadcast()
	}
}
