package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// visit is a small visit document; n makes patient and visit.
func visit(n int) []byte {
	return fmt.Appendf(nil, `{"orgCode":"370000009","orgName":"崩溃测试馆","visitNo":"V%d","visitTime":"2026-11-20T10:00:00+08:00","visitType":"first",
"doctor":{"id":"D1","name":"李医生"},"patient":{"id":"P%d","name":"测试%d","gender":"女","birthDate":"1970-01-01"},
"diagnoses":[{"diseaseCode":"A01.01.01","diseaseName":"感冒","syndromeName":"风寒束表证","icd10":"J00.x00","name":"急性鼻咽炎"}],
"herbalPrescriptions":[{"no":"CF%d","doses":3,"items":[{"code":"H1","name":"麻黄","dose":6,"unit":"g"},{"code":"H2","name":"桂枝","dose":6,"unit":"g"}]}],
"charges":[{"no":"F%d","name":"诊查费","category":"诊查费","quantity":1,"price":10,"amount":10}]}`, n, n/3, n/3, n, n)
}

// TestKillNine kills the hub, and once the engine, at random moments while
// clients push; every acknowledged visit is in SQL and in FHIR exactly once.
func TestKillNine(t *testing.T) {
	needEngine(t)
	h := startHub(t)
	var mu sync.Mutex
	acked := map[int]bool{}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for n := c; ; n += 4 {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if code, _ := h.request("POST", "/ingest/his", "application/json", visit(n)); code/100 == 2 {
						break
					}
					<-time.After(20 * time.Millisecond) // the hub is down: push the same again, as a HIS does
				}
				mu.Lock()
				acked[n] = true
				mu.Unlock()
				<-time.After(2 * time.Millisecond)
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 4 {
		<-time.After(time.Duration(300+rng.IntN(1500)) * time.Millisecond)
		if round == 1 {
			killEngine(t, h)
			continue
		}
		h.kill()
		h.start()
	}
	<-time.After(500 * time.Millisecond)
	close(stop)
	clients.Wait()
	mu.Lock()
	want := len(acked)
	mu.Unlock()
	if want < 50 {
		t.Fatalf("only %d visits acknowledged: the test exercised nothing", want)
	}
	h.eventually(60*time.Second, fmt.Sprintf("%d acknowledged visits in SQL", want), func() bool {
		n, _ := strconv.Atoi(h.sql("SELECT uniqExact(visit_no) FROM qihuang.encounter FINAL WHERE org_code = '370000009'"))
		return n >= want
	})
	have := map[string]bool{}
	for _, v := range strings.Fields(h.sql("SELECT visit_no FROM qihuang.encounter FINAL WHERE org_code = '370000009'")) {
		if have[v] {
			t.Errorf("visit %s twice", v)
		}
		have[v] = true
	}
	for n := range acked {
		if !have[fmt.Sprintf("V%d", n)] {
			t.Errorf("acknowledged visit V%d lost", n)
		}
	}
	h.eventually(30*time.Second, "each visit has one prescription of two herbs and one charge", func() bool {
		return h.sql(`SELECT (SELECT count() FROM qihuang.prescription FINAL) = e, (SELECT count() FROM qihuang.prescription_item FINAL) = 2 * e,
(SELECT count() FROM qihuang.charge FINAL) = e FROM (SELECT count() AS e FROM qihuang.encounter FINAL)`) == "1\t1\t1"
	})
	// a message that is refused is logged too, by id and kind only
	if code, body := h.request("POST", "/ingest/his", "application/json", []byte(`{"orgCode":"370000009","visitNo":"X","visitTime":"2026-11-20","patient":{"id":"","name":"张秘密","birthDate":"1970-99-99"}}`)); code/100 != 4 {
		t.Errorf("a document without patient id: %d %s", code, body)
	}
	if code, _ := h.request("POST", "/fhir/Patient", "application/fhir+json", []byte(`{"resourceType":"Patient","name":[{"text":"张秘密"}],"birthDate":"1970-99-99"}`)); code/100 != 4 {
		t.Errorf("a patient with a wrong date: %d", code)
	}
	h.secrets("测试", "张秘密", "感冒", "麻黄", "1970-99-99")
	t.Logf("%d visits acknowledged over kills, none lost, none doubled", want)
}

// killEngine kills the ClickHouse child of h with kill -9.
func killEngine(t *testing.T, h *program) {
	t.Helper()
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(h.cmd.Process.Pid), "-f", "engine").Output()
	if err != nil {
		t.Fatalf("no engine child of %d: %v", h.cmd.Process.Pid, err)
	}
	for _, f := range strings.Fields(string(out)) {
		pid, _ := strconv.Atoi(f)
		p, err := os.FindProcess(pid)
		if err == nil {
			_ = p.Kill()
		}
	}
}
