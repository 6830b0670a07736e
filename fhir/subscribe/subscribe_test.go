package subscribe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// validator lets the server's writes pass the running service's checker.
type validator struct{ r *rig }

func (v validator) Check(ctx context.Context, res fhir.Node) []fault.Issue {
	return v.r.current.Checker(nil).Check(ctx, res)
}

func encounter(id, status, patient string) string {
	return fmt.Sprintf(`{"resourceType":"Encounter","id":%q,"status":%q,"class":{"code":"AMB"},"subject":{"reference":"Patient/%s"}}`, id, status, patient)
}

// TestTopic: handshake, activation, trigger with previous and current, filter,
// full resources with the shape's context.
func TestTopic(t *testing.T) {
	r := newRig(t)
	r.put(patient("p1", "Li"))
	r.put(r.topicSub("s", "encounter-finished", "full-resource", `,"header":["Authorization: Bearer x"]`, "Encounter?patient=Patient/p1"))
	r.until("active", func() bool { return r.status("s") == "active" })
	r.put(encounter("e1", "in-progress", "p1"))
	r.put(encounter("other", "finished", "p2"))
	r.put(encounter("e1", "finished", "p1"))
	r.put(strings.Replace(encounter("e1", "finished", "p1"), `"class"`, `"language":"zh","class"`, 1)) // was finished before
	r.put(encounter("e2", "finished", "p1"))                                                           // created finished
	r.until("two events", func() bool { return len(r.numbers("/s")) == 2 })
	got := r.hook.all()
	if n := readNotice(t, got[0].body); n.Kind != "handshake" || n.Status != "requested" || n.Count != "0" {
		t.Errorf("first %+v", n)
	}
	n := readNotice(t, got[1].body)
	if n.Kind != "event-notification" || n.Status != "active" || n.Count != "1" || !slices.Equal(n.Numbers, []string{"1"}) ||
		!slices.Equal(n.Focus, []string{"Encounter/e1"}) || !slices.Equal(n.Resources, []string{"Encounter/e1", "Patient/p1"}) {
		t.Errorf("event %+v", n)
	}
	if !strings.Contains(got[1].body, `"status":"finished"`) || got[1].auth != "Bearer x" || got[1].media != mimeJSON {
		t.Errorf("event %+v", got[1])
	}
}

// TestContents: empty tells only numbers, id-only only references; max-count
// bounds a notification.
func TestContents(t *testing.T) {
	r := newRig(t)
	r.hook.answer(503)
	r.put(r.topicSub("a", "patient-registered", "empty", ""))
	r.put(r.topicSub("b", "patient-registered", "id-only", fmt.Sprintf(`,"extension":[{"url":%q,"valuePositiveInt":2}]`, extMaxCount)))
	for i := range 5 {
		r.put(patient(fmt.Sprint("p", i), "Li"))
	}
	r.until("five events", func() bool { return r.current.List()[1].Events == 5 })
	r.hook.answer(0)
	r.until("all delivered", func() bool { return len(r.numbers("/a")) == 5 && len(r.numbers("/b")) == 5 })
	sizes := []int{}
	for _, d := range r.hook.all() {
		n := readNotice(t, d.body)
		switch {
		case n.Kind == "handshake":
		case d.path == "/a" && (len(n.Focus) > 0 || strings.Contains(d.body, "Patient")):
			t.Errorf("empty tells too much: %s", d.body)
		case d.path == "/b":
			if len(n.Focus) != len(n.Numbers) || len(n.Resources) > 0 {
				t.Errorf("id-only: %s", d.body)
			}
			sizes = append(sizes, len(n.Numbers))
		}
	}
	if !slices.Equal(sizes, []int{2, 2, 1}) {
		t.Errorf("sizes %v", sizes)
	}
}

// TestFailing: an endpoint that is away makes the status error, is tried for
// ever, and gets everything in order when it is back.
func TestFailing(t *testing.T) {
	r := newRig(t)
	r.put(r.topicSub("s", "patient-registered", "id-only", ""))
	r.until("active", func() bool { return r.status("s") == "active" })
	r.hook.answer(500)
	for i := range 4 {
		r.put(patient(fmt.Sprint("p", i), "Li"))
	}
	r.until("error", func() bool { return r.status("s") == "error" })
	if _, body := r.call("GET", "/fhir/Subscription/s", ""); !strings.Contains(body, "接收方答复 500") {
		t.Errorf("the resource must say why: %s", body)
	}
	r.until("many attempts", func() bool { return r.current.List()[0].Failures > 8 })
	r.hook.answer(0)
	r.until("active again", func() bool { return r.status("s") == "active" })
	r.until("all", func() bool { return slices.Equal(r.numbers("/s"), []string{"1", "2", "3", "4"}) })
}

// TestRestart: what happens while nobody runs is told afterwards, numbers go on
// without a gap; a view made anew gives the same numbers.
func TestRestart(t *testing.T) {
	r := newRig(t)
	r.put(r.topicSub("s", "patient-registered", "id-only", ""))
	r.until("active", func() bool { return r.status("s") == "active" })
	r.put(patient("p1", "Li"))
	r.until("first", func() bool { return r.current.List()[0].Delivered == 1 }) // not only arrived: else it may come again
	r.halt()
	for i := range 20 {
		if _, err := r.store.Commit(context.Background(), putTx(fmt.Sprint("q", i))); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	r.until("all", func() bool { return len(r.numbers("/s")) == 21 })
	for i, n := range r.numbers("/s") {
		if n != fmt.Sprint(i+1) {
			t.Fatalf("numbers %v", r.numbers("/s"))
		}
	}
	_, before := r.call("GET", "/fhir/Subscription/s/$events", "")
	r.halt()
	r.cfg.Dir = t.TempDir()
	r.start()
	r.until("rebuilt", func() bool { l := r.current.List(); return len(l) == 1 && l[0].Events == 21 })
	_, after := r.call("GET", "/fhir/Subscription/s/$events", "")
	if a, b := readNotice(t, before), readNotice(t, after); !slices.Equal(a.Focus, b.Focus) || !slices.Equal(a.Numbers, b.Numbers) || len(b.Numbers) != 21 {
		t.Errorf("before %v\nafter %v", a, b)
	}
}

// TestHoles: changes that were erased leave holes in the feed; what follows them
// is one event each, not one for every time it is read.
func TestHoles(t *testing.T) {
	r := newRig(t)
	r.put(r.topicSub("s", "patient-registered", "id-only", ""))
	r.until("active", func() bool { return r.status("s") == "active" })
	r.halt()
	commit := func(tx *store.Transaction) {
		if _, err := r.store.Commit(context.Background(), tx); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		commit(putTx(fmt.Sprint("q", i)))
	}
	for _, id := range []string{"q0", "q1"} {
		commit(&store.Transaction{ID: "purge-" + id, Ops: []store.Op{{Method: store.Purge, Type: "Patient", ID: id}}})
	}
	for i := range 3 {
		commit(putTx(fmt.Sprint("q", 3+i)))
	}
	r.start()
	r.put(patient("last", "Li"))
	r.until("the last", func() bool { return slices.Contains(r.foci("/s"), "Patient/last") })
	if got := r.foci("/s"); !slices.Equal(got, []string{"Patient/q2", "Patient/q3", "Patient/q4", "Patient/q5", "Patient/last"}) {
		t.Errorf("events of %v", got)
	}
}

// TestLifecycle: off stops, requested begins again with a handshake, deletion
// forgets, end switches off.
func TestLifecycle(t *testing.T) {
	r := newRig(t)
	sub := r.topicSub("s", "patient-registered", "id-only", "")
	r.put(sub)
	r.until("active", func() bool { return r.status("s") == "active" })
	r.put(strings.Replace(sub, "requested", "off", 1))
	r.until("off", func() bool { return r.current.List()[0].Status == Off })
	r.put(patient("p1", "Li"))
	r.put(sub)
	r.until("active again", func() bool { return r.status("s") == "active" })
	r.put(patient("p2", "Li"))
	r.until("one event", func() bool { return len(r.numbers("/s")) == 1 })
	got := r.hook.all()
	if n := readNotice(t, got[len(got)-1].body); n.Focus[0] != "Patient/p2" || n.Numbers[0] != "1" {
		t.Errorf("what happened while off is no event: %+v", n)
	}
	r.put(r.topicSub("ends", "patient-registered", "empty", "")[:1] + `"end":"2020-01-01T00:00:00Z",` + r.topicSub("ends", "patient-registered", "empty", "")[1:])
	r.until("ended", func() bool { return r.status("ends") == "off" })
	r.call("DELETE", "/fhir/Subscription/s", "")
	r.until("forgotten", func() bool { return len(r.current.List()) == 1 })
	if code, _ := r.call("GET", "/fhir/Subscription/s/$status", ""); code != 404 {
		t.Errorf("status of a deleted one: %d", code)
	}
}

// TestClassic: R4's criteria, with and without payload, with a chain, and a
// receiver that knows no PUT.
func TestClassic(t *testing.T) {
	r := newRig(t)
	classic := func(id, criteria, payload string) string {
		return fmt.Sprintf(`{"resourceType":"Subscription","id":%q,"status":"requested","reason":"x","criteria":%q,"channel":{"type":"rest-hook","endpoint":%q%s}}`, id, criteria, r.end+"/"+id, payload)
	}
	r.put(classic("body", "Patient?family=Li", `,"payload":"application/fhir+json"`))
	r.put(classic("xml", "Patient?family=Li", `,"payload":"application/fhir+xml"`))
	r.put(classic("bare", "Encounter?subject:Patient.family=Li", ""))
	r.until("active", func() bool {
		return r.status("body") == "active" && r.status("bare") == "active" && r.status("xml") == "active"
	})
	r.put(patient("p1", "Li"))
	r.put(patient("p2", "Wang"))
	r.put(encounter("e2", "planned", "p2"))
	r.put(encounter("e1", "planned", "p1"))
	r.until("three", func() bool { return len(r.hook.all()) == 3 })
	seen := map[string]delivery{}
	for _, d := range r.hook.all() {
		seen[d.path] = d
	}
	if d := seen["/body/Patient/p1"]; d.method != "PUT" || !strings.Contains(d.body, `"family":"Li"`) {
		t.Errorf("payload %+v", d)
	}
	if d := seen["/xml/Patient/p1"]; d.media != mimeXML || !strings.Contains(d.body, `<family value="Li"/>`) {
		t.Errorf("xml %+v", d)
	}
	if d := seen["/bare"]; d.method != "POST" || d.body != "" {
		t.Errorf("bare %+v", d)
	}
}

// TestMessage wraps notifications for messaging.
func TestMessage(t *testing.T) {
	r := newRig(t)
	r.put(strings.Replace(r.topicSub("s", "patient-registered", "id-only", ""), "rest-hook", "message", 1))
	r.until("handshake", func() bool { return len(r.hook.all()) == 1 })
	body := r.hook.all()[0].body
	if !strings.Contains(body, `"type":"message"`) || !strings.Contains(body, `"resourceType":"MessageHeader"`) || !strings.Contains(body, `"valueCode":"handshake"`) {
		t.Error(body)
	}
}

func TestOperations(t *testing.T) {
	r := newRig(t)
	r.put(r.topicSub("s", "patient-registered", "id-only", ""))
	for i := range 3 {
		r.put(patient(fmt.Sprint("p", i), "Li"))
	}
	r.until("three", func() bool { return len(r.numbers("/s")) == 3 })
	if _, body := r.call("GET", "/fhir/Subscription/$status?status=active", ""); !strings.Contains(body, `"type":"searchset","total":1`) || !strings.Contains(body, `"valueString":"3"`) {
		t.Errorf("$status: %s", body)
	}
	if _, body := r.call("GET", "/fhir/Subscription/$status?status=off", ""); !strings.Contains(body, `"total":0`) {
		t.Errorf("$status of none: %s", body)
	}
	_, body := r.call("GET", "/fhir/Subscription/s/$events?eventsSinceNumber=2&content=full-resource", "")
	if n := readNotice(t, body); n.Kind != "query-event" || !slices.Equal(n.Numbers, []string{"2", "3"}) || !slices.Equal(n.Resources, []string{"Patient/p1", "Patient/p2"}) || n.Count != "3" {
		t.Errorf("$events: %+v", n)
	}
	_, body = r.call("POST", "/fhir/Subscription/s/$events", `{"resourceType":"Parameters","parameter":[{"name":"eventsSinceNumber","valueString":"2"},{"name":"eventsUntilNumber","valueString":"2"},{"name":"content","valueCode":"empty"}]}`)
	if n := readNotice(t, body); !slices.Equal(n.Numbers, []string{"2"}) || n.Focus != nil {
		t.Errorf("$events by POST: %+v", n)
	}
	for path, want := range map[string]int{"/fhir/Subscription/none/$events": 404, "/fhir/Subscription/s/$events?eventsSinceNumber=x": 400, "/fhir/Subscription/s/$events?content=all": 400,
		"/fhir/Subscription/s/$resend": 405, "/fhir/Subscription/s/$get-ws-binding-token": 400, "/fhir/Subscription/$get-ws-binding-token": 404} {
		if code, body := r.call("GET", path, ""); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := r.call("POST", "/fhir/Subscription/s/$resend?eventsSinceNumber=2", ""); code != 200 {
		t.Fatalf("$resend: %d %s", code, body)
	}
	r.until("again", func() bool { return slices.Equal(r.numbers("/s"), []string{"1", "2", "3", "2", "3"}) })
	if code, _ := r.call("POST", "/fhir/Subscription/s/$resend?eventsSinceNumber=9", ""); code != 400 {
		t.Errorf("resend of the future: %d", code)
	}
}

// TestSocket: a token binds, what waited comes first; R4's own way by id.
func TestSocket(t *testing.T) {
	r := newRig(t)
	sub := strings.Replace(r.topicSub("w", "patient-registered", "id-only", ""), `"rest-hook","endpoint":"`+r.end+`/w"`, `"websocket"`, 1)
	r.put(sub)
	r.until("active", func() bool { return r.status("w") == "active" })
	r.put(patient("p1", "Li"))
	_, body := r.call("GET", "/fhir/Subscription/w/$get-ws-binding-token", "")
	token := between(body, `"name":"token","valueString":"`, `"`)
	address := between(body, `"valueUrl":"`, `"`)
	if token == "" || !strings.HasPrefix(address, "ws://127.0.0.1") {
		t.Fatalf("token: %s", body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	dial := func(hello string) *websocket.Conn {
		c, _, err := websocket.Dial(ctx, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	hear := func(c *websocket.Conn) string {
		_, b, err := c.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	c := dial("bind-with-token " + token)
	defer c.CloseNow()
	if n := readNotice(t, hear(c)); n.Kind != "handshake" {
		t.Errorf("first %+v", n)
	}
	if n := readNotice(t, hear(c)); !slices.Equal(n.Numbers, []string{"1"}) {
		t.Errorf("what waited: %+v", n)
	}
	old := dial("bind w")
	defer old.CloseNow()
	if s := hear(old); s != "bound w" {
		t.Errorf("bind: %s", s)
	}
	r.put(patient("p2", "Li"))
	if n := readNotice(t, hear(c)); !slices.Equal(n.Focus, []string{"Patient/p2"}) {
		t.Errorf("event %+v", n)
	}
	if s := hear(old); s != "ping w" {
		t.Errorf("ping: %s", s)
	}
	for _, hello := range []string{"bind-with-token " + token[:len(token)-2] + "xx", `{"type":"bind-with-token","payload":{"token":"?"}}`, "bind none", "what"} {
		c := dial(hello)
		if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%s: %v", hello, err)
		}
	}
}

func between(s, from, to string) string {
	_, rest, _ := strings.Cut(s, from)
	out, _, _ := strings.Cut(rest, to)
	return out
}

// TestRefused: what could not work is refused when it is written.
func TestRefused(t *testing.T) {
	r := newRig(t)
	ok := r.topicSub("s", "encounter-finished", "id-only", "")
	for _, c := range [][2]string{
		{"encounter-finished", "no-such-topic"}, {r.end, "http://169.254.169.254"}, {r.end, "ftp://x"}, {`"rest-hook"`, `"email"`}, {`"id-only"`, `"everything"`},
		{`"https://qihuang.health/fhir/SubscriptionTopic/encounter-finished"`, `"Encountr?status=x"`}, {`"https://qihuang.health/fhir/SubscriptionTopic/encounter-finished"`, `"Encounter?statu=x"`},
		{`"reason"`, `"end":"tomorrow","reason"`},
	} {
		if code, body := r.call("PUT", "/fhir/Subscription/s", strings.Replace(ok, c[0], c[1], 1)); code/100 != 4 || !strings.Contains(body, "Subscription") {
			t.Errorf("%s: %d %s", c[1], code, body)
		}
	}
	for _, f := range []string{"Encounter?length=3", "Encounter?patient", "nonsense=1"} {
		if code, body := r.call("PUT", "/fhir/Subscription/s", r.topicSub("s", "encounter-finished", "id-only", "", f)); code/100 != 4 {
			t.Errorf("filter %s: %d %s", f, code, body)
		}
	}
	if code, body := r.call("PUT", "/fhir/Subscription/s", ok); code != http.StatusCreated {
		t.Errorf("%d %s", code, body)
	}
}

// TestHeartbeat comes when nothing else does.
func TestHeartbeat(t *testing.T) {
	r := newRig(t)
	r.put(r.topicSub("s", "patient-registered", "id-only", fmt.Sprintf(`,"extension":[{"url":%q,"valueUnsignedInt":1}]`, extHeartbeat)))
	r.until("heartbeat", func() bool {
		for _, d := range r.hook.all() {
			if readNotice(t, d.body).Kind == "heartbeat" {
				return true
			}
		}
		return false
	})
}

// TestOwnTopic: a client's topic works from the moment it is stored, one that is
// deleted no longer.
func TestOwnTopic(t *testing.T) {
	r := newRig(t)
	x := topicExtension
	topic := `{"resourceType":"Basic","id":"mine","code":{"coding":[{"code":"SubscriptionTopic"}]},"extension":[{"url":"` + x + `.url","valueUri":"http://me/topic"},{"url":"` + x + `.resourceTrigger","extension":[
{"url":"resource","valueUri":"Patient"},{"url":"supportedInteraction","valueCode":"update"},{"url":"supportedInteraction","valueCode":"delete"},{"url":"fhirPathCriteria","valueString":"%current.exists().not() or %previous.name.family != %current.name.family"}]}]}`
	sub := strings.Replace(r.topicSub("s", "x", "full-resource", ""), "https://qihuang.health/fhir/SubscriptionTopic/x", "http://me/topic|1.0", 1)
	if code, _ := r.call("PUT", "/fhir/Subscription/s", sub); code/100 != 4 {
		t.Fatalf("without its topic: %d", code)
	}
	r.put(topic)
	r.until("the topic", func() bool { code, _ := r.call("PUT", "/fhir/Subscription/s", sub); return code == http.StatusCreated })
	r.put(patient("p1", "Li"))
	r.put(strings.Replace(patient("p1", "Li"), `"name"`, `"gender":"male","name"`, 1))
	r.put(patient("p1", "Wang"))
	r.call("DELETE", "/fhir/Patient/p1", "")
	r.until("two", func() bool { return len(r.numbers("/s")) == 2 })
	got := r.hook.all()
	if last := got[len(got)-1].body; !strings.Contains(last, `"method":"DELETE"`) || len(readNotice(t, last).Resources) != 0 {
		t.Errorf("deletion: %s", last)
	}
	r.call("DELETE", "/fhir/Basic/mine", "")
	r.until("the topic is gone", func() bool {
		code, _ := r.call("PUT", "/fhir/Subscription/t", strings.ReplaceAll(sub, `"s"`, `"t"`))
		return code/100 == 4
	})
}
