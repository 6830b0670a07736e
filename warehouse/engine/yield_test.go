package engine

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// testUrgency says that a statement is patient unless its request is urgent.
func testUrgency(t *testing.T, s *Supervisor) {
	for header, want := range map[string]string{"": "10", "1": "0"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL(), strings.NewReader("SELECT getSetting('os_threads_nice_value_query')"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(Urgent, header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if got := strings.TrimSpace(string(body)); err != nil || got != want {
			t.Errorf("urgent %q: niceness %s, want %s (%v)", header, got, want, err)
		}
	}
}
