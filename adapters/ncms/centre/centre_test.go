package centre

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/clock"
)

// TestSameSeedSameFaults: what goes wrong follows from the seed and the requests.
func TestSameSeedSameFaults(t *testing.T) {
	run := func(seed uint64) (string, int) {
		served := 0
		f := NewFaulty(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { served++; _, _ = io.WriteString(w, "ok") }),
			Faults{Seed: seed, Drop: 0.2, Lost: 0.2, Busy: 0.2, Slow: 0.2, Delay: time.Millisecond})
		srv := httptest.NewServer(f)
		defer srv.Close()
		var b bytes.Buffer
		for i := range 60 {
			res, err := http.Post(srv.URL, "text/plain", bytes.NewReader([]byte{byte('a' + i%10)}))
			switch {
			case err != nil:
				b.WriteByte('x')
			case res.StatusCode == 200:
				b.WriteByte('.')
				res.Body.Close()
			default:
				b.WriteByte('b')
				res.Body.Close()
			}
		}
		return b.String(), served
	}
	one, served := run(7)
	two, again := run(7)
	if one != two || served != again {
		t.Errorf("%s\n%s", one, two)
	}
	if three, _ := run(8); three == one {
		t.Error("another seed gives the same faults")
	}
	for _, want := range "x.b" {
		if !bytes.ContainsRune([]byte(one), want) {
			t.Errorf("%q never happened: %s", want, one)
		}
	}
}

func TestRules(t *testing.T) {
	cfg := Default()
	cfg.People, cfg.Ceiling = 3, money(t, "10")
	c := New(cfg, clock.System{})
	ctx, who := context.Background(), ncms.Caller{Hospital: "1"}
	visit := func() ncms.Visit {
		t.Helper()
		n, err := c.Register(ctx, ncms.Registration{Caller: who, Card: "NH100001", Year: "2026"})
		if err != nil {
			t.Fatal(err)
		}
		return ncms.Visit{Caller: who, Number: n}
	}
	pay := func(v ncms.Visit, invoice string, items ...ncms.Item) ncms.Sums {
		t.Helper()
		if err := c.Upload(ctx, ncms.Details{Visit: v, Items: items}); err != nil {
			t.Fatal(err)
		}
		s, err := c.Settle(ctx, ncms.Bill{Visit: v, Invoice: invoice})
		if err != nil {
			t.Fatal(err)
		}
		return s.Sums
	}
	in, out := ncms.Item{SchemeCode: "N1", Amount: money(t, "12.35")}, ncms.Item{Amount: money(t, "3.00")}
	if s := pay(visit(), "F1", in, out); s["sum31"] != "15.35" || s["sum01"] != "6.18" || s["sum21"] != "9.17" || s["sum04"] != "12.35" || s["sum06"] != "6.18" {
		t.Errorf("half of what counts, half up: %v", s)
	}
	if s := pay(visit(), "F2", in); s["sum01"] != "3.82" || s["sum06"] != "10.00" || s["sum08"] != "2" {
		t.Errorf("up to the year's ceiling: %v", s)
	}
	if _, err := c.Eligible(ctx, ncms.Card{Number: "none"}); ncms.RefusedBy(err) == nil {
		t.Error("a stranger is insured")
	}
	if b := c.Books(); b.Settled != 2 || b.Total != "27.70" || b.Paid != "10.00" {
		t.Errorf("%+v", b)
	}
}

func money(t *testing.T, s string) ncms.Money {
	t.Helper()
	m, err := ncms.ParseMoney("", s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	if (Config{}).Validate() == nil || (Faults{Drop: 0.6, Lost: 0.6}).Validate() == nil || (Faults{Busy: -1}).Validate() == nil {
		t.Error("a wrong configuration is accepted")
	}
}
