package desk

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/centre"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// TestLostAnswers loses the answer of a settlement in every way.
func TestLostAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		fails   func(calls int) map[int]string // relative to the settlement: 1 begin-commit, 2 settle, 3 day …
		words   string                         // of the first answer; "" = settled at once
		reverse bool                           // the hall never asks again
	}{
		"found at once":         {func(n int) map[int]string { return map[int]string{n + 4: "lost"} }, "", false},
		"list is away":          {func(n int) map[int]string { return map[int]string{n + 4: "lost", n + 5: "away"} }, "结果不明", false},
		"nobody asks again":     {func(n int) map[int]string { return map[int]string{n + 4: "lost", n + 5: "away"} }, "结果不明", true},
		"did not leave":         {func(n int) map[int]string { return map[int]string{n + 4: "away"} }, "结算中心不通", false},
		"log away afterwards":   {func(n int) map[int]string { return map[int]string{n + 5: "away"} }, "不通", false},
		"lost and commit fails": {func(n int) map[int]string { return map[int]string{n + 4: "lost", n + 6: "away"} }, "结果不明", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			number := b.visit(2)
			b.wire.fails = c.fails(b.wire.calls)
			s, err := b.settle(number, "F1")
			if c.words == "" && err != nil || c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)) {
				t.Fatalf("%v %v", err, b.wire.asked)
			}
			if c.reverse {
				for range 4 {
					b.clock.pass(time.Hour)
					if _, err := b.desk.Resolve(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				if books := b.centre.Books(); books.Settled != 0 || books.Reversed != 1 {
					t.Errorf("%+v", books)
				}
				if open, _ := b.desk.Open(context.Background()); len(open) != 0 {
					t.Errorf("%+v", open)
				}
			} else {
				again, err := b.settle(number, "F1")
				if err != nil || s != nil && again.ID != s.ID {
					t.Fatalf("%v %+v %+v", err, again, s)
				}
				if books := b.centre.Books(); books.Settled != 1 || books.Reversed != 0 {
					t.Errorf("%+v", books)
				}
			}
			b.agree("end")
		})
	}
}

// TestCarelessCentre settles twice when asked twice: the surplus is reversed.
func TestCarelessCentre(t *testing.T) {
	cfg := centre.Default()
	cfg.Careless = true
	b := newBenchOf(t, cfg)
	number := b.visit(3)
	// the answer is lost and the list does not show the settlement yet
	n := b.wire.calls
	b.wire.fails = map[int]string{n + 4: "lost", n + 5: "away"}
	if _, err := b.settle(number, "F1"); err == nil {
		t.Fatal("the answer was lost")
	}
	if _, err := b.centre.Settle(context.Background(), bill(number, "F1")); err != nil { // late twin of the lost request
		t.Fatal(err)
	}
	s, err := b.settle(number, "F1")
	if err != nil {
		t.Fatal(err)
	}
	b.clock.pass(time.Minute)
	if open, err := b.desk.Resolve(context.Background()); err != nil || open != 0 {
		t.Fatalf("%d %v", open, err)
	}
	if again, err := b.settle(number, "F1"); err != nil || again.ID != s.ID {
		t.Errorf("%v", err)
	}
	b.agree("end")
}

// TestReversalQueue: what cannot be reversed now is reversed later, and until
// then the visit cannot be settled.
func TestReversalQueue(t *testing.T) {
	for _, how := range []string{"away", "lost"} {
		b := newBench(t)
		number := b.visit(4)
		s, err := b.settle(number, "F1")
		if err != nil {
			t.Fatal(err)
		}
		n := b.wire.calls
		b.wire.fails = map[int]string{n + 2: how, n + 3: "away"}
		if how == "away" {
			b.wire.fails = map[int]string{n + 2: how}
		}
		r := ncms.Reversal{Visit: ncms.Visit{Caller: who}, Invoice: "F1"}
		if err := b.desk.Reverse(context.Background(), r); err == nil || !strings.Contains(err.Error(), "排队") {
			t.Fatalf("%s: %v", how, err)
		}
		if _, err := b.settle(number, "F1"); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: settled while a reversal waits: %v", how, err)
		}
		b.clock.pass(time.Minute)
		if open, err := b.desk.Resolve(context.Background()); err != nil || open != 0 {
			t.Fatalf("%s: %d %v", how, open, err)
		}
		b.agree(how)
		if again, err := b.settle(number, "F1"); err != nil || again.ID == s.ID {
			t.Errorf("%s: settled anew: %v", how, err)
		}
		b.agree(how)
	}
}

// TestUploadIsNeverCountedTwice: an upload without an answer is taken back.
func TestUploadIsNeverCountedTwice(t *testing.T) {
	for _, retract := range []string{"", "away"} {
		b := newBench(t)
		number := b.registered(5)
		d := ncms.Details{Visit: ncms.Visit{Caller: who, Number: number}, Items: items}
		n := b.wire.calls
		b.wire.fails = map[int]string{n + 2: "lost", n + 3: retract}
		if err := b.desk.Upload(context.Background(), d); err == nil || !strings.Contains(err.Error(), "重新上传") {
			t.Fatal(err)
		}
		if retract != "" {
			if _, err := b.settle(number, "F1"); !fault.Is(err, fault.Conflict) {
				t.Errorf("settled while items are being taken back: %v", err)
			}
		}
		if err := b.desk.Upload(context.Background(), d); err != nil {
			t.Fatal(err)
		}
		s, err := b.settle(number, "F1")
		if err != nil || s.Sums[ncms.SumTotal] != "16.63" {
			t.Errorf("%v %+v", err, s)
		}
		b.agree("end")
	}
}

// TestCrashAtEveryStep kills the process before and after each call of the
// centre and of the log, in a whole visit with a reversal; the hall tries again
// as halls do. Nothing is ever settled twice, and both sides agree to the cent.
func TestCrashAtEveryStep(t *testing.T) {
	steps, crashes := 0, 0
	for _, how := range []string{"before", "after"} {
		for k := 1; ; k++ {
			b := newBench(t)
			number := b.registered(6)
			start := b.wire.calls
			b.wire.fails = map[int]string{start + k: how}
			died := b.wholeVisit(number)
			if !died {
				break // fewer steps than k
			}
			crashes++
			steps = max(steps, k)
			b.agree(fmt.Sprintf("%s step %d (%s)", how, k, b.wire.asked[start+k-1]))
		}
	}
	if steps < 8 {
		t.Fatalf("only %d steps: the test exercised nothing", steps)
	}
	t.Logf("%d crashes at %d steps", crashes, steps)
}

// wholeVisit uploads, settles, settles again, reverses and settles with another invoice,
// each until it is answered.
func (b *bench) wholeVisit(number string) (died bool) {
	b.t.Helper()
	until := func(fn func() error) {
		b.t.Helper()
		for range 5 {
			err, dead := b.run(fn)
			died = died || dead
			if !dead && err == nil {
				return
			}
			b.clock.pass(time.Minute)
			if _, dead := b.run(func() error { _, err := b.desk.Resolve(context.Background()); return err }); dead {
				died = true
			}
		}
		b.t.Errorf("never answered")
	}
	var first, second *ncms.Settlement
	until(func() error {
		return b.desk.Upload(context.Background(), ncms.Details{Visit: ncms.Visit{Caller: who, Number: number}, Items: items})
	})
	until(func() (err error) { first, err = b.settle(number, "F1"); return err })
	until(func() (err error) { second, err = b.settle(number, "F1"); return err })
	if first == nil || second == nil || first.ID != second.ID {
		b.t.Fatalf("%+v %+v", first, second)
	}
	if first.Sums[ncms.SumTotal] != "16.63" {
		b.t.Errorf("the bill was counted as %s", first.Sums[ncms.SumTotal])
	}
	until(func() error {
		return b.desk.Reverse(context.Background(), ncms.Reversal{Visit: ncms.Visit{Caller: who}, ID: first.ID, Invoice: "F1"})
	})
	until(func() (err error) { second, err = b.settle(number, "F2"); return err })
	return died
}
