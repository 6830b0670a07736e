package xnh_test

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
	"github.com/qihuang-health/qihuang/adapters/ncms/xnh"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var quiet = slog.New(slog.DiscardHandler)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/xnh", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// post calls an operation as a JAX-WS client does and returns what <return> holds.
func post(t testing.TB, url, operation string, args ...string) string {
	t.Helper()
	var params []soap.Param
	for i, a := range args {
		params = append(params, soap.Param{Name: "arg" + string(rune('0'+i)), Value: a})
	}
	res, err := http.Post(url, "text/xml; charset=utf-8", strings.NewReader(string(soap.Request(xnh.Namespace, operation, params))))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	call, err := soap.Parse(body)
	if err != nil || call.Operation != operation+"Response" || call.Namespace != xnh.Namespace || len(call.Params) != 1 || call.Params[0].Name != "return" {
		t.Fatalf("%s: %v %s", operation, err, body)
	}
	return call.First()
}

func serve(t testing.TB) (*centre.Centre, string) {
	t.Helper()
	c := centre.New(centre.Default(), clock.System{})
	srv := httptest.NewServer(c.Handler(clock.System{}, quiet))
	t.Cleanup(srv.Close)
	return c, srv.URL + xnh.Path
}

func member(t testing.TB, reply, name string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(reply), &all); err != nil {
		t.Fatalf("%s: %v", reply, err)
	}
	s, _ := all[name].(string)
	return s
}

// TestSampleSequence sends the published messages of one visit in their order.
func TestSampleSequence(t *testing.T) {
	c, url := serve(t)
	var ask struct{ Operator, Yybh, Cardid, Year, Ip, Port string }
	if err := json.Unmarshal([]byte(sample(t, "01_checkGRZH.request.json")), &ask); err != nil {
		t.Fatal(err)
	}
	got := post(t, url, "docheckGRZH", ask.Operator, ask.Yybh, ask.Cardid, ask.Year, ask.Ip, ask.Port)
	same(t, got, sample(t, "01_checkGRZH.reply.json"))
	same(t, post(t, url, "docheckGRZH", ask.Operator, ask.Yybh, "NH1", ask.Year, ask.Ip, ask.Port), sample(t, "01_checkGRZH.not_insured.reply.json"))

	djid := member(t, post(t, url, "doMzdj", sample(t, "02_Mzdj.request.json")), "djid")
	if !strings.HasPrefix(djid, "D") {
		t.Fatalf("djid %q", djid)
	}
	with := func(name string, pairs ...string) string {
		return strings.NewReplacer(append([]string{"D20261012000001", djid}, pairs...)...).Replace(sample(t, name))
	}
	same(t, post(t, url, "doUploadFyxx", with("03_UploadFyxx.request.json")), sample(t, "03_UploadFyxx.reply.json"))
	trial := post(t, url, "doFybxYjs", with("04_FybxYjs.request.json"))
	for k, want := range map[string]string{"sum31": "31.26", "sum01": "15.63", "sum21": "15.63", "sum04": "31.26", "sum08": "1", "sum40": "0"} {
		if got := member(t, trial, k); got != want {
			t.Errorf("%s = %s, want %s", k, got, want)
		}
	}
	bxid := member(t, post(t, url, "doFYbxjs", with("05_FybxJs.request.json")), "bxid")
	if !strings.HasPrefix(bxid, "B") {
		t.Fatalf("bxid %q", bxid)
	}
	same(t, post(t, url, "doFYbxjs", with("05_FybxJs.request.json")), sample(t, "05_FybxJs.duplicate_invoice.reply.json"))
	today := time.Now().In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly)
	list := post(t, url, "doMrdzMx", `{"operator":"all","yybh":"370000000001","hospitalcode":"370000000001","Dzrq":"`+today+`","Zzrq":"`+today+`","dzlx":"1"}`)
	if !strings.Contains(list, `"BXID":"`+bxid+`","FPHM":"F443001","ZJJE":"31.26"`) || !strings.Contains(list, `"JYLX":"1"`) {
		t.Errorf("list: %s", list)
	}
	if code := member(t, post(t, url, "doReSaveFybx", with("06_ReSaveFybx.request.json", "B20261012000001", bxid)), "code"); code != "1" {
		t.Errorf("reversal: %s", code)
	}
	if b := c.Books(); b.Settled != 0 || b.Reversed != 1 || b.Paid != "0.00" {
		t.Errorf("books: %+v", b)
	}
}

// same compares two JSON texts by content.
func same(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if string(x) != string(y) {
		t.Errorf("got  %s\nwant %s", x, y)
	}
}

// TestClientWritesTheSamples: what the client sends holds every member of the
// published requests with the same values.
func TestClientWritesTheSamples(t *testing.T) {
	sent := map[string]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		call, err := soap.Parse(body)
		if err != nil || r.Header.Get("SOAPAction") != `""` || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/xml") {
			t.Errorf("%v %v", err, r.Header)
		}
		sent[call.Operation] = call.First()
		_, _ = w.Write(call.Return(`{"code":1,"msg":"成功","djid":"D20261012000001","bxid":"B20261012000001","arr":[]}`))
	}))
	defer srv.Close()
	c, err := xnh.NewClient(srv.URL+"?wsdl", time.Second, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	who := ncms.Caller{Hospital: "370000000001", Operator: "0101", IP: "10.0.0.8", Port: "8090"}
	v := ncms.Visit{Caller: who, Number: "D20261012000001"}
	money := func(s string) ncms.Money { m, _ := ncms.ParseMoney("", s); return m }
	_, err = c.Register(ctx, ncms.Registration{Caller: who, Card: "NH100001", Person: "G100001", Year: "2026", Date: "2026-10-12", Diagnoses: []ncms.Diagnosis{{Code: "J00.x00", Name: "急性上呼吸道感染"}}})
	check := func(err error, operation, file string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", operation, err)
		}
		same(t, sent[operation], sample(t, file))
	}
	check(err, "doMzdj", "02_Mzdj.request.json")
	_, err = c.Try(ctx, ncms.Bill{Visit: v2(v, "G100001"), Card: "NH100001", Total: money("31.26"), Year: "2026"})
	check(err, "doFybxYjs", "04_FybxYjs.request.json")
	_, err = c.Settle(ctx, ncms.Bill{Visit: v, Year: "2026", InvoiceDate: "2026-10-12", Invoice: "F443001"})
	check(err, "doFYbxjs", "05_FybxJs.request.json")
	err = c.Reverse(ctx, ncms.Reversal{Visit: v, ID: "B20261012000001", Invoice: "F443001", Card: "NH100001", Year: "2026"})
	check(err, "doReSaveFybx", "06_ReSaveFybx.request.json")
	if _, err = c.Day(ctx, ncms.Days{Caller: who, From: "2026-10-12", To: "2026-10-12"}); err != nil || !strings.Contains(sent["doMrdzMx"], `"hospitalcode":"370000000001"`) || !strings.Contains(sent["doMrdzMx"], `"operator":"all"`) {
		t.Errorf("%v %s", err, sent["doMrdzMx"])
	}
}

func v2(v ncms.Visit, person string) ncms.Visit { v.Person = person; return v }

// TestUploadRoundTrip reads the published upload, and writes it again unchanged.
func TestUploadRoundTrip(t *testing.T) {
	in := sample(t, "03_UploadFyxx.request.json")
	out, err := xnh.Reencode(in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out, in)
}

func TestServer_bad(t *testing.T) {
	_, url := serve(t)
	for what, want := range map[string]string{
		`{"djid":"D1"}`:                        "缺少 fphm",
		`{"fphm":"F1"}`:                        "缺少 djid",
		`not JSON`:                             "消息不是有效的 JSON",
		`{"djid":"D9","fphm":"F1","jzlx":"1"}`: "没有登记流水号 D9",
	} {
		reply := post(t, url, "doFYbxjs", what)
		if member(t, reply, "code") != "-1" || !strings.Contains(member(t, reply, "msg"), want) {
			t.Errorf("%s: %s", what, reply)
		}
	}
	reply := post(t, url, "doUploadFyxx", `{"djid":"D1","czlx":"1","ypArr":[{"ypje":"1e9"}]}`)
	if !strings.Contains(reply, "ypArr.ypje 不是金额") {
		t.Error(reply)
	}
	for _, body := range []string{"", "<a/>", string(soap.Request(xnh.Namespace, "doNothing", nil)), `<!DOCTYPE a><a/>`} {
		res, err := http.Post(url, "text/xml", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 500 || !strings.Contains(string(b), "Fault") {
			t.Errorf("%q: %d %s", body, res.StatusCode, b)
		}
	}
}

func TestWSDL(t *testing.T) {
	_, url := serve(t)
	res, err := http.Get(url + "?wsdl")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	for _, want := range []string{`name="HCNWebservicesService"`, `targetNamespace="http://webservices/"`, `style="document"`, `use="literal"`, `name="doFYbxjs"`, `name="docheckGRZH"`, `name="arg5"`, url} {
		if !strings.Contains(string(b), want) {
			t.Errorf("WSDL lacks %s", want)
		}
	}
}

// TestClientTellsLostFromAway: what may have arrived is Lost, what did not leave
// is not.
func TestClientTellsLostFromAway(t *testing.T) {
	replies := map[string]func(w http.ResponseWriter){
		"cut":      func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"not JSON": func(w http.ResponseWriter) { _, _ = w.Write((&soap.Call{Operation: "doFYbxjs"}).Return("busy")) },
		"no code":  func(w http.ResponseWriter) { _, _ = w.Write((&soap.Call{Operation: "doFYbxjs"}).Return("{}")) },
		"no bxid": func(w http.ResponseWriter) {
			_, _ = w.Write((&soap.Call{Operation: "doFYbxjs"}).Return(`{"code":"1"}`))
		},
		"fault":     func(w http.ResponseWriter) { _, _ = w.Write((&soap.Call{}).Fault(false, "x", "")) },
		"html":      func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html><body>proxy</body></html>") },
		"502":       func(w http.ResponseWriter) { w.WriteHeader(502) },
		"half body": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); _, _ = io.WriteString(w, "x") },
	}
	for name, reply := range replies {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w) }))
		c, _ := xnh.NewClient(srv.URL, time.Second, http.DefaultClient)
		if _, err := c.Settle(context.Background(), ncms.Bill{}); !ncms.IsLost(err) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
	srv := httptest.NewServer(nil)
	srv.Close()
	c, _ := xnh.NewClient(srv.URL, time.Second, http.DefaultClient)
	if _, err := c.Settle(context.Background(), ncms.Bill{}); ncms.IsLost(err) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("closed port: %v", err)
	}
}

// TestCatalogues downloads, proposes and asks what became of it.
func TestCatalogues(t *testing.T) {
	_, url := serve(t)
	c, _ := xnh.NewClient(url, time.Second, http.DefaultClient)
	ctx, who := context.Background(), ncms.Caller{Hospital: "370000000001", Operator: "0101"}
	for kind, code := range map[ncms.Kind]string{ncms.Drugs: "N5045", ncms.Services: "N110200001", ncms.Diseases: "1"} {
		list, err := c.Catalogue(ctx, ncms.CatalogueQuery{Caller: who, Kind: kind})
		if err != nil || len(list) == 0 || list[0].Code != code || list[0].Name == "" || list[0].Version == "" {
			t.Fatalf("%s: %v %+v", kind, err, list)
		}
		if list, err = c.Catalogue(ctx, ncms.CatalogueQuery{Caller: who, Kind: kind, Version: list[0].Version}); kind != ncms.Diseases && (err != nil || len(list) != 0) {
			t.Errorf("%s: nothing is newer: %v %+v", kind, err, list)
		}
	}
	state := func(code string) string {
		a, err := c.Approval(ctx, who, ncms.Drugs, code)
		if err != nil {
			t.Fatal(err)
		}
		return a.State
	}
	if s := state("5045"); s != "0" {
		t.Errorf("before: %s", s)
	}
	if err := c.Propose(ctx, who, ncms.Drugs, []ncms.Mapping{{Code: "5045", Name: "桂枝", SchemeCode: "N5045"}, {Code: "x", SchemeCode: "none"}}); err != nil {
		t.Fatal(err)
	}
	if state("5045") != "1" || state("x") != "2" {
		t.Errorf("after: %s %s", state("5045"), state("x"))
	}
}

func FuzzServer(f *testing.F) {
	c := centre.New(centre.Config{People: 3, Zone: time.UTC}, clock.System{})
	h := c.Handler(clock.System{}, quiet)
	for _, op := range []string{"doMzdj", "doUploadFyxx", "doFybxYjs", "doFYbxjs", "doReSaveFybx", "doMrdzMx", "docheckGRZH", "dogetYpml", "douploadDzml"} {
		f.Add(op, `{"djid":"D1","fphm":"F1","cardid":"NH100001","ypArr":[{"ypje":"1.2"}],"czlx":"1","Dzrq":"2026-01-01","fpje":3}`)
	}
	f.Fuzz(func(t *testing.T, op, arg string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", xnh.Path, strings.NewReader(string(soap.Request(xnh.Namespace, op, []soap.Param{{Name: "arg0", Value: arg}})))))
		if w.Code != 200 && w.Code != 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

func BenchmarkUpload(b *testing.B) {
	in := sample(b, "03_UploadFyxx.request.json")
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := xnh.Reencode(in); err != nil {
			b.Fatal(err)
		}
	}
}
