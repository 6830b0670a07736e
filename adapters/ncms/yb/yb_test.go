package yb_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/centre"
	"github.com/qihuang-health/qihuang/adapters/ncms/yb"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var quiet = slog.New(slog.DiscardHandler)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/yb", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func serve(t testing.TB) (*centre.Centre, string) {
	t.Helper()
	c := centre.New(centre.Default(), clock.System{})
	srv := httptest.NewServer(c.Handler(clock.System{}, quiet))
	t.Cleanup(srv.Close)
	return c, srv.URL + yb.Path
}

// answer is an envelope with what the tests look at.
type answer struct {
	Code   json.Number     `json:"infcode"`
	Error  string          `json:"err_msg"`
	Output json.RawMessage `json:"output"`
}

func post(t testing.TB, url, body string) answer {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var a answer
	b, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(b, &a); err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %v %s", res.StatusCode, err, b)
	}
	return a
}

// TestSampleSequence sends the published messages of one visit in their order.
func TestSampleSequence(t *testing.T) {
	c, url := serve(t)
	a := post(t, url, sample(t, "1101.request.json"))
	var person struct {
		Baseinfo struct{ Psn_no, Psn_name, Certno, Brdy, Gend string }
		Insuinfo []struct{ Insutype, Psn_insu_stas string }
	}
	if err := json.Unmarshal(a.Output, &person); err != nil || a.Code != "0" {
		t.Fatalf("%v %+v", err, a)
	}
	if b := person.Baseinfo; b.Psn_name != "张三" || b.Certno != "379901195603120010" || b.Brdy != "1956-03-12" || b.Gend != "1" || len(person.Insuinfo) != 1 || person.Insuinfo[0].Psn_insu_stas != "1" {
		t.Errorf("%+v", person)
	}
	with := func(name string, pairs ...string) string {
		return strings.NewReplacer(append([]string{"37000000000000100001", person.Baseinfo.Psn_no}, pairs...)...).Replace(sample(t, name))
	}
	a = post(t, url, with("2201.request.json"))
	var visit struct {
		Data struct{ Mdtrt_id, Ipt_otp_no string }
	}
	if err := json.Unmarshal(a.Output, &visit); err != nil || visit.Data.Mdtrt_id == "" || visit.Data.Ipt_otp_no != "443001" {
		t.Fatalf("%v %+v", err, a)
	}
	id := []string{"MD0000000443001", visit.Data.Mdtrt_id}
	if a = post(t, url, with("2203.request.json", id...)); a.Code != "0" {
		t.Fatalf("%+v", a)
	}
	if a = post(t, url, with("2204.request.json", id...)); a.Code != "0" || !strings.Contains(string(a.Output), `"feedetl_sn":"443001004"`) {
		t.Fatalf("%+v", a)
	}
	settle := with("2207.request.json", id...)
	trial := post(t, url, strings.Replace(settle, `"2207"`, `"2206"`, 1))
	a = post(t, url, settle)
	for _, got := range []answer{trial, a} {
		var out struct {
			Setlinfo struct {
				Medfee_sumamt, Fund_pay_sumamt, Psn_part_amt, Inscp_scp_amt json.Number
			}
		}
		if err := json.Unmarshal(got.Output, &out); err != nil || out.Setlinfo.Medfee_sumamt != "21.26" || out.Setlinfo.Fund_pay_sumamt != "10.63" || out.Setlinfo.Psn_part_amt != "10.63" {
			t.Errorf("%v %+v %s", err, out, got.Output)
		}
	}
	var paid struct{ Setlinfo struct{ Setl_id string } }
	if err := json.Unmarshal(a.Output, &paid); err != nil || paid.Setlinfo.Setl_id == "" {
		t.Fatalf("%s", a.Output)
	}
	if a = post(t, url, settle); a.Code != "-1" || !strings.Contains(a.Error, "已存在发票号码相同") {
		t.Errorf("a second settlement: %+v", a)
	}
	back := `{"infno":"2208","fixmedins_code":"H37990100001","input":{"data":{"setl_id":"` + paid.Setlinfo.Setl_id + `","mdtrt_id":"` + id[1] + `","psn_no":"` + person.Baseinfo.Psn_no + `"}}}`
	if a = post(t, url, back); a.Code != "0" {
		t.Errorf("reversal: %+v", a)
	}
	if b := c.Books(); b.Settled != 0 || b.Reversed != 1 {
		t.Errorf("%+v", b)
	}
}

// TestClientAgainstCentre does the same through the port, and reconciles totals.
func TestClientAgainstCentre(t *testing.T) {
	_, url := serve(t)
	c, err := yb.NewClient(yb.Config{Address: url, Timeout: time.Second, Area: "370000"}, http.DefaultClient, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, who := context.Background(), ncms.Caller{Hospital: "H37990100001", Operator: "0101"}
	people, err := c.Eligible(ctx, ncms.Card{Caller: who, Number: "379901195603120010"})
	if err != nil || people[0].Name != "张三" || people[0].Insurance == "" {
		t.Fatalf("%v %+v", err, people)
	}
	number, err := c.Register(ctx, ncms.Registration{Caller: who, Card: "NH100001", Person: people[0].Number, VisitNo: "443001", Diagnoses: []ncms.Diagnosis{{Kind: "1", Code: "J00.x00", Name: "感冒"}, {Kind: "2", Code: "A01.01.01", Name: "感冒"}}})
	if err != nil {
		t.Fatal(err)
	}
	v := ncms.Visit{Caller: who, Number: number, Person: people[0].Number}
	amount, _ := ncms.ParseMoney("", "6.62")
	items := []ncms.Item{{Drug: true, SchemeCode: "T000005045", Code: "5045", Name: "桂枝", Quantity: "9", Doses: "3", Price: "0.245", Amount: amount, Prescription: "880001"}}
	if err := c.Upload(ctx, ncms.Details{Visit: v, Items: items}); err != nil {
		t.Fatal(err)
	}
	if err := c.Retract(ctx, v); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Try(ctx, ncms.Bill{Visit: v, Card: "NH100001"}); ncms.RefusedBy(err) == nil {
		t.Errorf("a bill without items: %v", err)
	}
	if err := c.Upload(ctx, ncms.Details{Visit: v, Items: items}); err != nil {
		t.Fatal(err)
	}
	b := ncms.Bill{Visit: v, Card: "NH100001", Total: amount, Invoice: "F1"}
	trial, err := c.Try(ctx, b)
	if err != nil || trial.Sums[ncms.SumTotal] != "6.62" || trial.Sums[ncms.SumScheme] != "3.31" {
		t.Fatalf("%v %+v", err, trial)
	}
	s, err := c.Settle(ctx, b)
	if err != nil || s.Sums[ncms.SumPatient] != "3.31" || s.ID == "" {
		t.Fatalf("%v %+v", err, s)
	}
	day := time.Now().In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly)
	list, err := c.Day(ctx, ncms.Days{Caller: who, From: day, To: day})
	if err != nil || len(list) != 1 || list[0].Invoice != "F1" || list[0].Visit != number || ncms.FormatMoney(list[0].Paid) != "3.31" {
		t.Errorf("%v %+v", err, list)
	}
	a := post(t, url, `{"infno":"3201","fixmedins_code":"H37990100001","input":{"data":{"stmt_begndate":"`+day+`","stmt_enddate":"`+day+`","medfee_sumamt":"6.62","fund_pay_sumamt":3.3}}}`)
	if !strings.Contains(string(a.Output), `"stmt_rslt":"1"`) {
		t.Errorf("a cent off must not agree: %s", a.Output)
	}
}

func TestClient_lost(t *testing.T) {
	for name, body := range map[string]string{"no JSON": "<html>", "no code": "{}", "no id": `{"infcode":0,"output":{"setlinfo":{}}}`, "amount": `{"infcode":"0","output":{"setlinfo":{"setl_id":"1","medfee_sumamt":"x"}}}`} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); strings.Contains(string(b), `"infno":"9001"`) {
				_, _ = io.WriteString(w, `{"infcode":-1,"err_msg":"不支持"}`)
				return
			}
			_, _ = io.WriteString(w, body)
		}))
		c, _ := yb.NewClient(yb.Config{Address: srv.URL, Timeout: time.Second}, http.DefaultClient, clock.System{})
		if _, err := c.Settle(context.Background(), ncms.Bill{}); !ncms.IsLost(err) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
}

func FuzzServer(f *testing.F) {
	c := centre.New(centre.Config{People: 3, Zone: time.UTC}, clock.System{})
	h := c.Handler(clock.System{}, quiet)
	for _, n := range []string{"9001", "1101", "2201", "2202", "2203", "2204", "2205", "2206", "2207", "2208", "3201", "3202"} {
		f.Add(n, `{"data":{"mdtrt_id":"D1","psn_no":"1","setl_id":"B","stmt_begndate":"2026-01-01","medfee_sumamt":"1"},"feedetail":[{"mdtrt_id":"1","cnt":2}],"mdtrtinfo":{"mdtrt_id":"1"}}`)
	}
	f.Fuzz(func(t *testing.T, infno, input string) {
		in, _ := json.Marshal(map[string]any{"infno": infno, "input": json.RawMessage(input)})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", yb.Path, strings.NewReader(string(in))))
		var a answer
		if w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &a) != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

func BenchmarkSettle(b *testing.B) {
	_, url := serve(b)
	body := strings.Replace(sample(b, "2207.request.json"), `"2207"`, `"2206"`, 1)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		post(b, url, body)
	}
}
