package kafka_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
)

const childDir = "QIHUANG_CRASH_DIR"

// TestKillNine kills a process with broker and repository at random moments:
// what was acknowledged is there afterwards, once, and ready comes soon.
func TestKillNine(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		child(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillNine$")
		cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprint("QIHUANG_CRASH_ROUND=", round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var kill *time.Timer
		for sc := bufio.NewScanner(out); sc.Scan(); {
			if id, ok := strings.CutPrefix(sc.Text(), "ack "); ok {
				acked[id] = true
			}
			if kill == nil { // it works: let it, for a moment
				kill = time.AfterFunc(time.Duration(100+rand.IntN(400))*time.Millisecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		if kill == nil {
			t.Fatal("the child never acknowledged anything")
		}
	}
	begin := time.Now()
	st, stop := repository(t, dir)
	defer stop()
	for !st.Ready() {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("not ready in 20 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%d acknowledged, ready %v after the start", len(acked), time.Since(begin))
	sn, err := st.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	for id := range acked {
		if v, err := sn.Read("Patient", id); err != nil || v.Version != 1 {
			t.Fatalf("%s: %+v, %v", id, v, err)
		}
	}
	n, last := 0, int64(0)
	for c, err := range sn.History(store.HistoryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if last != 0 && c.Seq != last-1 || c.Version.Version != 1 {
			t.Fatalf("change %d of %s version %d after %d", c.Seq, c.ID, c.Version.Version, last)
		}
		last = c.Seq
		n++
	}
	if n < len(acked) {
		t.Errorf("%d changes, %d acknowledged", n, len(acked))
	}
}

// child creates patients with 8 clients until it is killed.
func child(t *testing.T, dir string) {
	st, _ := repository(t, dir)
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("r%s-c%d-%d", os.Getenv("QIHUANG_CRASH_ROUND"), c, i)
				_, err := st.Commit(context.Background(), &store.Transaction{ID: id, Ops: []store.Op{{Method: store.Create, Type: "Patient", ID: id,
					Resource: []byte(`{"resourceType":"Patient","name":[{"text":"张三"}]}`)}}})
				if err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println("ack " + id)
			}
		})
	}
	wg.Wait()
}
