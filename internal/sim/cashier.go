package sim

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// cashiers are the dialects in which halls settle.
var cashiers = [...]string{"xnh", "yb"}

// cashier settles the visits of one hall's day, as the counter of a HIS does: it
// asks again until it is answered, never gives up on money, and keeps its own
// books.
type cashier struct {
	*month
	h      int
	hall   *Hall
	r      *rand.Rand
	rows   []object // NH_BSOFT_JSJL_MZ_DZ of the day
	serial int
}

func newCashier(m *month, h int) *cashier {
	return &cashier{month: m, h: h, hall: m.report.Halls[h], r: m.county.source('q', h, m.report.Halls[h].Visits.Hall)}
}

// answer is what both dialects say, in one form.
type answer struct {
	ok    bool
	words string
	all   map[string]any
}

func (a answer) text(name string) string { s, _ := a.all[name].(string); return s }

// again reports whether a refusal means only that the centre is not there.
func (a answer) again() bool {
	for _, w := range []string{"不通", "没有回应", "没有得到回应", "没有及时回应", "不明", "稍后", "重新上传", "不受理", "正在"} {
		if strings.Contains(a.words, w) {
			return true
		}
	}
	return false
}

// visit settles one visit if the patient is insured.
func (c *cashier) visit(ctx context.Context, v *visit, card string) error {
	if v.Patient.InsuranceType != "新农合" && v.Patient.InsuranceType != "城乡居民" {
		return nil
	}
	who, err := c.ask(ctx, "read", object{"card": card})
	if err != nil || !who.ok { // not insured any more: pays in full
		return err
	}
	reg, err := c.ask(ctx, "register", object{"card": card, "person": who.text("person"), "visit": v})
	if err != nil || !reg.ok {
		return c.refused("登记", reg, err)
	}
	bill := object{"card": card, "person": who.text("person"), "number": reg.text("number"), "visit": v}
	for { // items that did not arrive for sure are uploaded again
		up, err := c.ask(ctx, "upload", bill)
		if err != nil {
			return err
		}
		if up.ok {
			break
		}
		if !up.again() {
			return c.refused("上传", up, nil)
		}
	}
	trial, err := c.ask(ctx, "try", bill)
	if err != nil || !trial.ok {
		return c.refused("预结算", trial, err)
	}
	c.serial++
	bill["invoice"] = fmt.Sprintf("F%s%d%s", c.hall.Code[len(c.hall.Code)-4:], c.cfg.Seed, v.VisitNo)
	paid, err := c.ask(ctx, "settle", bill)
	if err != nil || !paid.ok {
		return c.refused("结算", paid, err)
	}
	return c.book(ctx, v, bill, trial, paid.text("id"))
}

func (c *cashier) refused(what string, a answer, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s被拒绝：%s", what, a.words)
}

// book keeps the settlement; some bills cannot be saved and are taken back.
func (c *cashier) book(ctx context.Context, v *visit, bill object, trial answer, id string) error {
	row := object{"BXID": id, "FPHM": bill["invoice"], "DJID": bill["number"], "JGID": c.hall.Code, "ICKH": bill["card"], "JSRQ": time.Now().In(c.county.zone).Format(time.DateTime),
		"SUM31": trial.text("total"), "SUM01": trial.text("paid"), "SUM21": trial.text("own"), "ZFPB": "0", "MZXH": v.VisitNo}
	c.rows = append(c.rows, row)
	if c.r.Float64() < c.cfg.Faults/2 {
		bill["id"] = id
		back, err := c.ask(ctx, "reverse", bill)
		if err != nil || !back.ok {
			return c.refused("作废", back, err)
		}
		row["ZFPB"] = "1"
		c.hall.Reversed++
		return nil
	}
	total, err := cents(trial.text("total"))
	if err != nil {
		return err
	}
	part, err := cents(trial.text("paid"))
	if err != nil {
		return err
	}
	c.hall.Settled.Hall++
	c.hall.total += total
	c.hall.paid += part
	return nil
}

// cents reads an amount of at most two decimals.
func cents(s string) (yuan, error) {
	whole, part, _ := strings.Cut(s, ".")
	var y, f int64
	if _, err := fmt.Sscan(whole, &y); err != nil {
		return 0, fmt.Errorf("金额 %q：%w", s, err)
	}
	part = (part + "00")[:2]
	if _, err := fmt.Sscanf(part, "%02d", &f); err != nil {
		return 0, fmt.Errorf("金额 %q：%w", s, err)
	}
	return yuan(y*100 + f), nil
}

// evening pushes the day's rows.
func (c *cashier) evening(ctx context.Context) error {
	if len(c.rows) == 0 {
		return nil
	}
	body, err := json.Marshal(object{"table": "NH_BSOFT_JSJL_MZ_DZ", "rows": c.rows})
	if err != nil {
		return err
	}
	c.hall.Sent++
	err = c.client.post(ctx, "/ingest/"+c.cfg.Source, "application/json", body, func(status int, _ []byte) bool { return status == http.StatusAccepted })
	if err == nil {
		c.hall.Acknowledged++
	}
	c.rows = nil
	return err
}

// ask does one step at the facade in the hall's dialect, again and again until it
// is answered one way or the other.
func (c *cashier) ask(ctx context.Context, step string, in object) (answer, error) {
	deadline := time.Now().Add(c.cfg.Patience)
	for {
		var a answer
		var err error
		if c.hall.Settles == "yb" {
			a, err = c.askYB(ctx, step, in)
		} else {
			a, err = c.askXNH(ctx, step, in)
		}
		if err == nil && (a.ok || !a.again() || step == "upload") {
			return a, nil
		}
		if time.Now().After(deadline) {
			return a, fmt.Errorf("%s 一直没有结果：%s %w", step, a.words, err)
		}
		c.hall.Repeated++
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return a, err
		}
	}
}

func (c *cashier) head() object {
	return object{"operator": "0101", "yybh": c.hall.Code, "ip": "10.0.0.8", "port": "8090", "msgType": "2"}
}

// items are the bill's lines in the words of the old interface: prescriptions
// and services that the scheme knows, others without a code.
func (c *cashier) items(v *visit) (drugs, services []object) {
	for i, l := range v.Charges {
		code := ""
		if i%4 != 3 {
			code = fmt.Sprintf("N%04d", i)
		}
		one := object{"xnhbm": code, "ypmc": l.Name, "ypgg": "", "jldw": "次", "ypjx": "", "ypsl": fmt.Sprint(l.Quantity), "ypdj": l.Price.String(), "billdate": v.VisitTime[:10],
			"icode": l.No, "ypcd": "", "cfsb": v.VisitNo, "kfys": v.Doctor.ID}
		if strings.Contains(l.Category, "药") {
			one["ypje"] = l.Amount.String()
			drugs = append(drugs, one)
		} else {
			one["je"] = l.Amount.String()
			services = append(services, one)
		}
	}
	return drugs, services
}

func total(v *visit) yuan {
	var sum yuan
	for _, l := range v.Charges {
		sum += l.Amount
	}
	return sum
}

// askXNH does a step over SOAP.
func (c *cashier) askXNH(ctx context.Context, step string, in object) (answer, error) {
	m, year := c.head(), time.Now().Format("2006")
	operation, args := "", []string(nil)
	set := func(op, service string, members object) {
		operation, m["serviceId"] = op, service
		for k, v := range members {
			m[k] = v
		}
	}
	v, _ := in["visit"].(*visit)
	switch step {
	case "read":
		operation, args = "docheckGRZH", []string{"0101", c.hall.Code, fmt.Sprint(in["card"]), year, "10.0.0.8", "8090"}
	case "register":
		set("doMzdj", "Mzdj", object{"ICD10": v.Diagnoses[0].ICD10, "jbmc": v.Diagnoses[0].DiseaseName, "cardid": in["card"], "grbh": in["person"], "year": year, "ryrq": v.VisitTime[:10], "ryzt": "3"})
	case "upload":
		drugs, services := c.items(v)
		set("doUploadFyxx", "UploadFyxx", object{"djid": in["number"], "jzlx": "1", "czlx": "1", "ypArr": drugs, "zlArr": services})
	case "try":
		set("doFybxYjs", "FybxYjs", object{"djid": in["number"], "cardid": in["card"], "grbh": in["person"], "fpje": total(v).String(), "Year": year, "jzlx": "1"})
	case "settle":
		set("doFYbxjs", "FybxJs", object{"jzlx": "1", "djid": in["number"], "Year": year, "fprq": time.Now().In(c.county.zone).Format(time.DateOnly), "fphm": in["invoice"], "zyh": "", "ztjsbj": "0"})
	case "reverse":
		set("doReSaveFybx", "ReSaveFybx", object{"invoiceId": in["invoice"], "cardid": in["card"], "Year": year, "bxid": in["id"]})
	}
	if args == nil {
		b, err := json.Marshal(m)
		if err != nil {
			return answer{}, err
		}
		args = []string{string(b)}
	}
	reply, err := c.facade(ctx, operation, args)
	if err != nil {
		return answer{}, err
	}
	out := answer{words: fmt.Sprint(reply["msg"]), ok: reply["code"] == "1", all: reply}
	reply["number"], reply["id"], reply["total"], reply["paid"], reply["own"] = reply["djid"], reply["bxid"], reply["sum31"], reply["sum01"], reply["sum21"]
	if p, ok := reply["patients"].([]any); ok && len(p) > 0 {
		reply["person"] = p[0].(map[string]any)["grbh"]
	}
	return out, nil
}

// facade calls a SOAP operation and reads the JSON in <return>.
func (m *month) facade(ctx context.Context, operation string, args []string) (map[string]any, error) {
	var b strings.Builder
	b.WriteString(`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><ns2:` + operation + ` xmlns:ns2="http://webservices/">`)
	for i, a := range args {
		fmt.Fprintf(&b, "<arg%d>", i)
		if err := xml.EscapeText(&b, []byte(a)); err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "</arg%d>", i)
	}
	b.WriteString(`</ns2:` + operation + `></S:Body></S:Envelope>`)
	status, reply, err := m.client.once(ctx, "/Webservices/HCNWebservices", "text/xml; charset=utf-8", []byte(b.String()))
	if err != nil {
		return nil, err
	}
	var env struct {
		Body struct {
			Response struct {
				Return string `xml:"return"`
			} `xml:",any"`
		} `xml:"Body"`
	}
	if err := xml.Unmarshal(reply, &env); err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("%s：%d %s", operation, status, excerpt(reply))
	}
	out := map[string]any{}
	return out, json.Unmarshal([]byte(env.Body.Response.Return), &out)
}

// askYB does a step with JSON envelopes.
func (c *cashier) askYB(ctx context.Context, step string, in object) (answer, error) {
	infno, data := "", object(nil)
	var input any
	now := time.Now().In(c.county.zone).Format(time.DateTime)
	v, _ := in["visit"].(*visit)
	switch step {
	case "read":
		infno, data = "1101", object{"mdtrt_cert_type": "03", "mdtrt_cert_no": in["card"], "begntime": now}
	case "register":
		infno, data = "2201", object{"psn_no": in["person"], "insutype": "390", "begntime": now, "mdtrt_cert_type": "03", "mdtrt_cert_no": in["card"], "ipt_otp_no": v.VisitNo}
	case "upload":
		infno = "2204"
		drugs, services := c.items(v)
		var list []object
		for i, x := range append(drugs, services...) {
			amount := x["ypje"]
			if amount == nil {
				amount = x["je"]
			}
			list = append(list, object{"feedetl_sn": fmt.Sprintf("%s%03d", v.VisitNo, i), "mdtrt_id": in["number"], "psn_no": in["person"], "chrg_bchno": v.VisitNo, "fee_ocur_time": now,
				"med_list_codg": x["xnhbm"], "medins_list_codg": x["icode"], "det_item_fee_sumamt": amount, "cnt": x["ypsl"], "pric": x["ypdj"]})
		}
		input = object{"feedetail": list}
	default:
		infno = map[string]string{"try": "2206", "settle": "2207", "reverse": "2208"}[step]
		data = object{"psn_no": in["person"], "mdtrt_cert_type": "03", "mdtrt_cert_no": in["card"], "med_type": "11", "psn_setlway": "01", "mdtrt_id": in["number"], "chrg_bchno": v.VisitNo,
			"insutype": "390", "acct_used_flag": "0", "medfee_sumamt": total(v).String(), "invono": in["invoice"], "setl_id": in["id"]}
	}
	if data != nil {
		input = object{"data": data}
	}
	c.serial++
	body, err := json.Marshal(object{"infno": infno, "msgid": fmt.Sprintf("%s%s%04d", c.hall.Code, time.Now().Format("20060102150405"), c.serial%10000), "mdtrtarea_admvs": "370000",
		"infver": "V1.0", "opter_type": "1", "opter": "0101", "inf_time": now, "fixmedins_code": c.hall.Code, "input": input})
	if err != nil {
		return answer{}, err
	}
	status, reply, err := c.client.once(ctx, "/Webservices/yb", "application/json", body)
	if err != nil {
		return answer{}, err
	}
	var env struct {
		Code   json.Number    `json:"infcode"`
		Words  string         `json:"err_msg"`
		Output map[string]any `json:"output"`
	}
	if err := json.Unmarshal(reply, &env); err != nil || status != http.StatusOK {
		return answer{}, fmt.Errorf("%s：%d %s", infno, status, excerpt(reply))
	}
	return answer{ok: env.Code == "0", words: env.Words, all: flat(env.Output)}, nil
}

// flat gives an output's members the names of [answer].
func flat(out map[string]any) map[string]any {
	all := map[string]any{}
	get := func(path ...string) any {
		var at any = out
		for _, p := range path {
			m, _ := at.(map[string]any)
			at = m[p]
		}
		if f, ok := at.(float64); ok {
			return fmt.Sprintf("%.2f", f)
		}
		return at
	}
	all["person"], all["number"], all["id"] = get("baseinfo", "psn_no"), get("data", "mdtrt_id"), get("setlinfo", "setl_id")
	all["total"], all["paid"], all["own"] = get("setlinfo", "medfee_sumamt"), get("setlinfo", "fund_pay_sumamt"), get("setlinfo", "psn_part_amt")
	return all
}
