package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// compare asks the hub and the centre what they hold and writes down every
// difference. Views trail the log by moments: it asks again for a while.
func (m *month) compare(ctx context.Context) error {
	deadline := time.Now().Add(m.cfg.Patience + time.Minute)
	for {
		m.report.Problems = m.report.Problems[:0]
		if err := m.look(ctx); err != nil {
			return err
		}
		if len(m.report.Problems) == 0 || time.Now().After(deadline) {
			return nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// differ notes what does not balance.
func (m *month) differ(h *Hall, what string, values ...any) {
	m.report.Problems = append(m.report.Problems, fmt.Sprintf("馆 %s（%s）%s：%v", h.Code, h.System, what, values))
}

func (m *month) look(ctx context.Context) error {
	visits, err := m.sums(ctx, "SELECT org_code, toString(count()), '0', '0' FROM qihuang.encounter FINAL WHERE status = 'finished' GROUP BY org_code")
	if err != nil {
		return err
	}
	charges, err := m.sums(ctx, "SELECT org_code, '0', toString(sum(toDecimal128(amount, 2))), '0' FROM qihuang.charge FINAL GROUP BY org_code")
	if err != nil {
		return err
	}
	var all account
	for _, h := range m.report.Halls {
		h.Visits.Hub = visits[h.Code].count
		h.Charges = Amounts{Hall: h.charges.String(), Hub: charges[h.Code].total.String()}
		if h.Visits.Hub != h.Visits.Hall {
			m.differ(h, "就诊", h.Visits.Hall, h.Visits.Hub)
		}
		if h.charges != charges[h.Code].total {
			m.differ(h, "费用", h.charges, charges[h.Code].total)
		}
		if h.Acknowledged != h.Sent {
			m.differ(h, "确认", h.Sent, h.Acknowledged)
		}
		if err := m.lookMoney(ctx, h); err != nil {
			return err
		}
		all = account{all.count + h.Settled.Hall, all.total + h.total, all.paid + h.paid}
	}
	settled, err := m.sums(ctx, "SELECT 'all', toString(count()), toString(ifNull(sum(toDecimal128(total, 2)), 0)), toString(ifNull(sum(toDecimal128(benefit, 2)), 0)) FROM qihuang.settlement FINAL WHERE status = 'active'")
	if err == nil && settled["all"] != all {
		m.report.Problems = append(m.report.Problems, fmt.Sprintf("数据仓库的结算：%v，应为 %v", settled["all"], all))
	}
	return err
}

// lookMoney compares a hall's settlements at all three ends.
func (m *month) lookMoney(ctx context.Context, h *Hall) error {
	hub, err := m.benefits(ctx, h.Code)
	if err != nil {
		return err
	}
	centre, err := m.list(ctx, h.Code)
	if err != nil {
		return err
	}
	h.Settled.Hub, h.Settled.Centre = hub.count, centre.count
	h.Total = Amounts{h.total.String(), hub.total.String(), centre.total.String()}
	h.Paid = Amounts{h.paid.String(), hub.paid.String(), centre.paid.String()}
	if h.Settled.Hall != hub.count || hub.count != centre.count || h.total != hub.total || hub.total != centre.total || h.paid != hub.paid || hub.paid != centre.paid {
		m.differ(h, "结算", h.Settled, h.Total, h.Paid)
	}
	if h.Mismatches, err = m.reconcile(ctx, h.Code); err != nil {
		return err
	}
	if h.Mismatches != 0 {
		m.differ(h, "对账差异", h.Mismatches)
	}
	return nil
}

// account is a count with two sums.
type account struct {
	count       int
	total, paid yuan
}

// sums runs SQL that gives code, count, sum and sum.
func (m *month) sums(ctx context.Context, sql string) (map[string]account, error) {
	reply, err := m.get(ctx, strings.TrimRight(m.cfg.SQL, "/")+"/?query="+url.QueryEscape(sql+" FORMAT TSV"))
	if err != nil {
		return nil, err
	}
	out := map[string]account{}
	for line := range strings.Lines(string(reply)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("SQL 答 %q", line)
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			return nil, err
		}
		total, err := cents(f[2])
		if err != nil {
			return nil, err
		}
		paid, err := cents(f[3])
		if err != nil {
			return nil, err
		}
		out[f[0]] = account{n, total, paid}
	}
	return out, nil
}

func (m *month) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := m.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s：%d %s", address, res.StatusCode, excerpt(b))
	}
	return b, err
}

// benefits adds up what FHIR holds of a hall's settlements that stand.
func (m *month) benefits(ctx context.Context, code string) (account, error) {
	var a account
	next := strings.TrimRight(m.cfg.BaseURL, "/") + "/fhir/ExplanationOfBenefit?status=active&_count=500&provider:identifier=" + url.QueryEscape(sidBase+"organization|"+code)
	for next != "" {
		b, err := m.get(ctx, next)
		if err != nil {
			return a, err
		}
		var page struct {
			Link  []struct{ Relation, URL string }
			Entry []struct {
				Resource struct {
					Total []struct {
						Category struct {
							Coding []struct{ Code string }
						}
						Amount struct{ Value json.Number }
					}
				}
			}
		}
		if err := json.Unmarshal(b, &page); err != nil {
			return a, err
		}
		for _, e := range page.Entry {
			a.count++
			for _, t := range e.Resource.Total {
				y, err := cents(t.Amount.Value.String())
				if err != nil {
					return a, err
				}
				switch t.Category.Coding[0].Code {
				case "sum31":
					a.total += y
				case "sum01":
					a.paid += y
				}
			}
		}
		next = ""
		for _, l := range page.Link {
			if l.Relation == "next" {
				next = l.URL
			}
		}
	}
	return a, nil
}

// days are those around now: the centre's clock may be on the other side of midnight.
func (m *month) days() (from, to string) {
	now := time.Now().In(m.county.zone)
	return now.AddDate(0, 0, -1).Format(time.DateOnly), now.AddDate(0, 0, 1).Format(time.DateOnly)
}

// list adds up the centre's own list of a hall.
func (m *month) list(ctx context.Context, code string) (account, error) {
	var a account
	from, to := m.days()
	b, err := json.Marshal(object{"operator": "all", "yybh": code, "hospitalcode": code, "Dzrq": from, "Zzrq": to, "dzlx": "1"})
	if err != nil {
		return a, err
	}
	for range 50 {
		reply, err := m.facade(ctx, "doMrdzMx", []string{string(b)})
		if err != nil {
			return a, err
		}
		if reply["code"] != "1" {
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return a, err
			}
			continue
		}
		list, _ := reply["arr"].([]any)
		for _, x := range list {
			e, _ := x.(map[string]any)
			if e["JYLX"] != "1" {
				continue
			}
			total, err := cents(fmt.Sprint(e["ZJJE"]))
			if err != nil {
				return a, err
			}
			paid, err := cents(fmt.Sprint(e["SBJE"]))
			if err != nil {
				return a, err
			}
			a.count, a.total, a.paid = a.count+1, a.total+total, a.paid+paid
		}
		return a, nil
	}
	return a, fmt.Errorf("取不到 %s 的对账清单", code)
}

// reconcile has the hub reconcile a hall and returns how many mismatches it found.
func (m *month) reconcile(ctx context.Context, code string) (int, error) {
	from, to := m.days()
	body, err := json.Marshal(object{"from": from, "to": to, "hospital": code})
	if err != nil {
		return 0, err
	}
	var out struct {
		Detail      []json.RawMessage
		ProcessNote []json.RawMessage
	}
	err = m.client.post(ctx, "/api/sources/"+m.cfg.Source+"/reconcile", "application/json", body, func(status int, reply []byte) bool {
		return status == http.StatusOK && json.Unmarshal(reply, &out) == nil
	})
	return len(out.Detail) + len(out.ProcessNote), err
}
