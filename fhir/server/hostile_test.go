package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/server"
)

// TestNothingHalfWritten cuts, spoils and refuses transactions; none of their
// resources may ever be seen.
func TestNothingHalfWritten(t *testing.T) {
	h := newHub(t)
	var entries []string
	for i := range 500 {
		entries = append(entries, entryOf(fmt.Sprintf("POST Patient urn:uuid:%d", i), patient("", `,"identifier":[{"system":"urn:half","value":"x"}]`)))
	}
	whole := bundleOf("transaction", entries...)
	h.cut(t, "POST /fhir", whole[:len(whole)-100], len(whole)) // the client goes away before the end
	h.do("POST ", whole[:len(whole)-100]).want(t, 400)         // the text ends too early
	last := entryOf("PUT Patient/p", patient("p", `,"gender":"wrong"`))
	a := h.do("POST ", bundleOf("transaction", append(entries, last)...)).want(t, 422)
	if !strings.Contains(a.body, "Bundle.entry[500]") {
		t.Errorf("the place is missing: %.300s", a.body)
	}
	stale := entryOf("PUT Patient/p", patient("p", ""))
	stale = strings.Replace(stale, `"request":{`, `"request":{"ifMatch":"W/\"7\"",`, 1)
	h.do("POST ", bundleOf("transaction", append(entries, stale)...)).want(t, 412) // refused when applied
	n := h.do("GET /Patient?identifier=urn:half|x&_summary=count", "").want(t, 200).node(t)
	if total, _ := n.Get("total").Int(); total != 0 {
		t.Errorf("%d resources of refused transactions are visible", total)
	}
	if versions := h.do("GET /_history?_count=1", "").want(t, 200).node(t).Get("entry").Len(); versions != 0 {
		t.Error("refused transactions left history")
	}
}

// cut sends a request whose body ends before its Content-Length, and goes away.
func (h *hub) cut(t *testing.T, line, body string, length int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: hub\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n%s", line, length, body); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn) // until the server has given up
}

// TestHostileBodies sends bodies made to exhaust memory or stack.
func TestHostileBodies(t *testing.T) {
	m, err := model()
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(t, func(c *server.Config, p *server.Parts) {
		c.MaxBody, c.Bodies = 4<<20, 4<<20
		p.XML = codec{fhirpath.NewEngine(m)}
	})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 64<<20))
	_ = z.Close()
	deep := func(open, close string, n int) string { return strings.Repeat(open, n) + strings.Repeat(close, n) }
	for name, c := range map[string]struct {
		line, body string
		status     int
		header     []string
	}{
		"gzip bomb":      {"POST /Patient", bomb.String(), 413, []string{"Content-Encoding: gzip"}},
		"no gzip":        {"POST /Patient", "{}", 400, []string{"Content-Encoding: gzip"}},
		"deep arrays":    {"POST /Patient", deep("[", "]", 100_000), 400, nil},
		"deep objects":   {"POST /Patient", deep(`{"a":`, "}", 100_000), 400, nil},
		"deep extension": {"POST /Patient", `{"resourceType":"Patient","extension":` + deep(`[{"url":"u","extension":`, "}]", 5000) + "}", 400, nil},
		"deep xml":       {"POST /Patient", deep("<a>", "</a>", 100_000), 400, []string{"Content-Type: application/fhir+xml"}},
		"entities":       {"POST /Patient", `<!DOCTYPE a [<!ENTITY x "y">]><Patient xmlns="http://hl7.org/fhir">&x;</Patient>`, 400, []string{"Content-Type: application/fhir+xml"}},
		"too large":      {"POST /Patient", `{"resourceType":"Patient","language":"` + strings.Repeat("x", 4<<20) + `"}`, 413, nil},
		"long id":        {"PUT /Patient/" + strings.Repeat("a", 65), "{}", 400, nil},
		"bundle bundle":  {"POST ", bundleOf("batch", `{"resource":{"resourceType":"Bundle","type":"batch"},"request":{"method":"POST","url":""}}`), 200, nil},
		"bad utf-8":      {"POST /Patient", "{\"resourceType\":\"Patient\",\"language\":\"\xff\"}", 400, nil},
		"nul":            {"POST /Patient", "{\"resourceType\":\"Patient\",\"language\":\"\x00\"}", 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			a := h.do(c.line, c.body, c.header...).want(t, c.status)
			if a.StatusCode >= 400 && !isOutcome(a.Header.Get("Content-Type"), a.body) {
				t.Errorf("no OperationOutcome: %.200s", a.body)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

// TestLargeBodiesShare shows that large bodies which arrive slowly together do
// not get more memory than the budget, that small ones are never refused for
// it, and that the budget comes back.
func TestLargeBodiesShare(t *testing.T) {
	h := newHub(t, func(c *server.Config, _ *server.Parts) { c.MaxBody, c.Bodies = 32<<20, 32<<20 })
	large := `{"resourceType":"Patient","language":"` + strings.Repeat("x", 24<<20) + `"}`
	hold, release := io.Pipe()
	done := make(chan int, 1)
	go func() {
		resp, err := http.Post(h.base+"/Patient", "application/fhir+json", hold)
		if err != nil {
			done <- 0
			return
		}
		_ = resp.Body.Close()
		done <- resp.StatusCode
	}()
	if _, err := io.WriteString(release, large[:20<<20]); err != nil { // returns when all but what sockets buffer was read
		t.Fatal(err)
	}
	a := h.do("POST /Patient", large).want(t, 429)
	if a.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	h.do("POST /Patient", patient("", "")).want(t, 201)
	if _, err := io.WriteString(release, large[20<<20:]); err != nil {
		t.Fatal(err)
	}
	_ = release.Close()
	if status := <-done; status != 201 {
		t.Errorf("the slow one: %d", status)
	}
	a = h.do("POST /Patient", large)
	for try := 0; a.StatusCode == 429 && try < 50; try++ { // the answer goes out before the room is given back
		a = h.do("POST /Patient", large)
	}
	a.want(t, 201)
}

// TestSlowBody gives up a client that sends its body too slowly.
func TestSlowBody(t *testing.T) {
	h := newHub(t, func(c *server.Config, _ *server.Parts) { c.Timeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "POST /fhir/Patient HTTP/1.1\r\nHost: hub\r\nContent-Type: application/fhir+json\r\nContent-Length: 1000\r\n\r\n{")
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(answer, []byte("OperationOutcome")) {
		t.Errorf("%v: %.200s", err, answer)
	}
}
