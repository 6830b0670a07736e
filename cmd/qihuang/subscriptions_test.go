package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// numbersHook is a subscriber: it keeps the event numbers and their focus.
type numbersHook struct {
	mu    sync.Mutex
	focus map[int]string
}

func (n *numbersHook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	type param struct {
		Name, ValueString string
		ValueReference    struct{ Reference string }
		Part              []param
	}
	var b struct {
		Entry []struct{ Resource struct{ Parameter []param } }
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &b); err != nil || len(b.Entry) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range b.Entry[0].Resource.Parameter {
		number, focus := 0, ""
		for _, q := range p.Part {
			switch q.Name {
			case "event-number":
				number, _ = strconv.Atoi(q.ValueString)
			case "focus":
				focus = q.ValueReference.Reference
			}
		}
		if number == 0 {
			continue
		}
		if had, ok := n.focus[number]; ok && had != focus { // a repeat must be the same event
			w.WriteHeader(http.StatusConflict)
			continue
		}
		n.focus[number] = focus
	}
}

// TestSubscriptionsSurviveKillNine kills the hub at random moments while a
// client writes; every acknowledged write is told exactly under one number, and
// the numbers have no gap.
func TestSubscriptionsSurviveKillNine(t *testing.T) {
	needEngine(t)
	h := startHub(t)
	hook := &numbersHook{focus: map[int]string{}}
	srv := httptest.NewServer(hook)
	defer srv.Close()
	sub := fmt.Sprintf(`{"resourceType":"Subscription","id":"kill","status":"requested","reason":"test","criteria":"https://qihuang.health/fhir/SubscriptionTopic/patient-registered",
"channel":{"type":"rest-hook","endpoint":%q,"payload":"application/fhir+json","extension":[{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-max-count","valuePositiveInt":10}],
"_payload":{"extension":[{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content","valueCode":"id-only"}]}}}`, srv.URL)
	h.eventually(20*time.Second, "the topic is there", func() bool {
		code, _ := h.request("PUT", "/fhir/Subscription/kill", "application/fhir+json", []byte(sub))
		return code/100 == 2
	})
	acked := 0
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if code, _ := h.request("PUT", fmt.Sprintf("/fhir/Patient/k%d", n), "application/fhir+json", fmt.Appendf(nil, `{"resourceType":"Patient","id":"k%d"}`, n)); code/100 == 2 {
					break
				}
				<-time.After(20 * time.Millisecond)
			}
			acked++
			<-time.After(2 * time.Millisecond)
		}
	}()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2 {
		<-time.After(time.Duration(300+rng.IntN(700)) * time.Millisecond)
		h.kill()
		h.start()
	}
	<-time.After(300 * time.Millisecond)
	close(stop)
	<-ended
	if acked < 50 {
		t.Fatalf("only %d writes: the test exercised nothing", acked)
	}
	h.eventually(60*time.Second, fmt.Sprintf("%d events", acked), func() bool {
		hook.mu.Lock()
		defer hook.mu.Unlock()
		told := map[string]bool{}
		for _, f := range hook.focus {
			told[f] = true
		}
		return len(told) >= acked
	})
	for n := 1; n <= len(hook.focus); n++ {
		if hook.focus[n] == "" {
			t.Errorf("event %d of %d is missing", n, len(hook.focus))
		}
	}
}
