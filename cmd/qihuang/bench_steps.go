package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// steady calls fn rate times a second for a while and returns the latencies.
func (b *bench) steady(rate int, fn func(i int) error) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var first error
	var wg sync.WaitGroup
	n := int(float64(rate) * max(10, 2*b.span.Seconds()))
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range n {
		<-tick.C
		wg.Go(func() {
			t := time.Now()
			err := fn(i)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, time.Since(t))
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	return all, first
}

// documents measures the acknowledgement of visits at a clinic's pace, once the
// load of the steps before has reached the warehouse.
func (b *bench) documents() error {
	if err := b.settle(); err != nil {
		return err
	}
	lat, err := b.steady(50, func(i int) error {
		doc := fmt.Appendf(nil, `{"orgCode":"bench","visitNo":"D%[1]d","visitTime":"2026-11-20T10:00:00+08:00","patient":{"id":"P%[1]d","name":"测试","gender":"女","birthDate":"1970-01-01"},"diagnoses":[{"diseaseCode":"A01.01.01","diseaseName":"感冒"}],"herbalPrescriptions":[{"no":"CF%[1]d","doses":3,"items":[{"code":"H1","name":"麻黄","dose":6,"unit":"g"}]}],"charges":[{"no":"F%[1]d","name":"诊查费","category":"诊查费","amount":10}]}`, i)
		code, body, err := b.do("POST", "/ingest/his", "application/json", doc)
		if code/100 == 2 {
			code = http.StatusOK
		}
		return want(http.StatusOK, code, body, err)
	})
	if err != nil {
		return fmt.Errorf("documents: %w", err)
	}
	b.print(figure{"document-ack-p99", at(lat, 99), "ms", "≤ 10", fmt.Sprintf("50 份/秒，落盘后确认；p50 %.2f ms", at(lat, 50))})
	return nil
}

// soap pushes visits and watches for them in SQL.
func (b *bench) soap() error {
	var mu sync.Mutex
	sent, seen := map[string]time.Time{}, map[string]time.Duration{}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(40 * time.Millisecond):
			}
			mu.Lock()
			waiting := len(sent) - len(seen)
			mu.Unlock()
			if waiting == 0 {
				continue
			}
			rows, err := b.sql("SELECT visit_no FROM qihuang.encounter FINAL WHERE org_code = 'benchsoap' ORDER BY visit_no DESC LIMIT 500")
			if err != nil {
				continue
			}
			mu.Lock()
			for _, v := range rows {
				if t, ok := sent[v]; ok && seen[v] == 0 {
					seen[v] = time.Since(t)
				}
			}
			mu.Unlock()
		}
	})
	_, err := b.steady(50, func(i int) error {
		no := fmt.Sprintf("S%06d", i)
		xml := fmt.Sprintf(`<Request><Header><sender>HIS</sender><receiver>EMR,HEAL</receiver><sendTime>20261120100000</sendTime><msgType>TCM_HIS_01</msgType><msgID>HIS%s</msgID></Header><Patient><id>%s</id><name>测试</name><genderCode>2</genderCode><birthday>19700101</birthday><outpatientNo>%s</outpatientNo><orgCode>benchsoap</orgCode></Patient></Request>`, no, no, no)
		env := `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><acceptMessage xmlns="http://DefaultNamespace"><in0><![CDATA[` + xml + `]]></in0></acceptMessage></soapenv:Body></soapenv:Envelope>`
		mu.Lock()
		sent[no] = time.Now()
		mu.Unlock()
		code, body, err := b.do("POST", "/services/TCM_HIS_01", "text/xml; charset=utf-8", []byte(env))
		if err == nil && !strings.Contains(string(body), "has been successfully received") {
			err = fmt.Errorf("reply %.300s", body)
		}
		return want(http.StatusOK, code, body, err)
	})
	deadline := time.Now().Add(15 * time.Second)
	for err == nil && time.Now().Before(deadline) {
		mu.Lock()
		done := len(seen) == len(sent)
		mu.Unlock()
		if done {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	close(stop)
	watch.Wait()
	if err != nil {
		return fmt.Errorf("soap: %w", err)
	}
	if len(seen) < len(sent) {
		return fmt.Errorf("soap: %d of %d visits not in SQL", len(sent)-len(seen), len(sent))
	}
	lat := make([]time.Duration, 0, len(seen))
	for _, d := range seen {
		lat = append(lat, d)
	}
	slices.Sort(lat)
	b.print(figure{"soap-to-sql-p99", at(lat, 99) / 1000, "s", "≤ 2", "50 次/秒，从发送到 SQL 可见"})
	return nil
}

func (b *bench) sql(query string) ([]string, error) {
	res, err := b.client.Post("http://127.0.0.1:"+strconv.Itoa(8123+b.offset)+"/?default_format=TSV", "text/plain", strings.NewReader(query))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return strings.Fields(string(body)), err
}
