package console

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// booked is Settlements with one open step and one mismatch.
type booked struct{ asked []string }

func (b *booked) Sources() []string { return []string{"ncms"} }
func (b *booked) Open(context.Context) ([]OpenStep, error) {
	return []OpenStep{{ID: "task-1", Source: "ncms", Step: "作废", State: "排队", Words: "结算中心不通", Visit: "D1", Invoice: "F1", Tries: 3}}, nil
}
func (b *booked) Reconcile(_ context.Context, source, hospital, from, to string) (*Reconciliation, error) {
	if hospital == "away" {
		return nil, fault.New(fault.Unavailable, "取不到中心的对账清单")
	}
	b.asked = []string{source, hospital, from, to}
	return &Reconciliation{Source: source, Hospital: hospital, From: from, To: to, ID: "recon-1", Compared: 12, Paid: "99.50",
		Mismatches: []Mismatch{{Code: "5", Name: "报销金额不匹配", ID: "B1", Benefit: "eob-1", CentrePaid: "15.63", HallPaid: "15.62", CentreState: "有效", HallState: "有效"}}, Orphans: []string{"B9"}}, nil
}

func TestSettlementsPage(t *testing.T) {
	gin.SetMode(gin.TestMode)
	book := &booked{}
	c, err := New(Config{Version: "test", Zone: time.UTC, Local: true}, Parts{Hub: &running{}, SQL: answers, Letters: letters{}, Log: slog.New(slog.DiscardHandler), Settlements: book})
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	c.Mount(r)
	w := get(t, r, "GET", "/console/settlements")
	for _, want := range []string{"作废", "结算中心不通", `href="/console/resources/Task/task-1"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("page lacks %q", want)
		}
	}
	post := func(hospital string) string {
		req := httptest.NewRequest("POST", "/console/settlements", strings.NewReader(url.Values{"source": {"ncms"}, "hospital": {hospital}, "from": {"2026-10-12"}, "to": {"2026-10-13"}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		return w.Body.String()
	}
	body := post("370000000001")
	for _, want := range []string{"报销金额不匹配", "15.63", "15.62", "99.50", "/console/resources/ExplanationOfBenefit/eob-1", "/console/resources/PaymentReconciliation/recon-1", "B9"} {
		if !strings.Contains(body, want) {
			t.Errorf("result lacks %q", want)
		}
	}
	if strings.Join(book.asked, " ") != "ncms 370000000001 2026-10-12 2026-10-13" {
		t.Errorf("asked %v", book.asked)
	}
	if body := post("away"); !strings.Contains(body, "取不到中心的对账清单") {
		t.Error("the reason is not shown")
	}
}
