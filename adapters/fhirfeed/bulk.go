package fhirfeed

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const (
	bulkJob     = "bulk:job"   // state: where a running export is asked for
	bulkSince   = "bulk:since" // state: transactionTime of the last one
	bulkBatch   = 200          // resources of one message
	maxLine     = 50 << 20
	longestPoll = 2 * time.Minute
)

// manifest is the answer of a finished export
// (https://hl7.org/fhir/uv/bulkdata/export.html).
type manifest struct {
	TransactionTime string `json:"transactionTime"`
	Output          []struct {
		Type, URL string
	} `json:"output"`
}

// bulk runs one export from kick-off to its last file. A job that was under way
// when the hub stopped goes on.
func (p *Puller) bulk(ctx context.Context) error {
	job := p.state.Get(bulkJob)
	if job == "" {
		var err error
		if job, err = p.kickOff(ctx); err != nil {
			return err
		}
		if err := p.state.Set(bulkJob, job); err != nil {
			return err
		}
	}
	m, err := p.await(ctx, job)
	if err != nil {
		if fault.Is(err, fault.Invalid) { // the job is gone: begin anew next time
			return errors.Join(err, p.state.Set(bulkJob, ""))
		}
		return err
	}
	for _, out := range m.Output {
		if err := p.download(ctx, out.URL); err != nil {
			return err
		}
	}
	if err := p.state.Set(bulkSince, m.TransactionTime); err != nil {
		return err
	}
	return p.state.Set(bulkJob, "")
}

func (p *Puller) kickOff(ctx context.Context) (string, error) {
	q := url.Values{"_type": {strings.Join(p.cfg.Types, ",")}}
	if since := p.state.Get(bulkSince); since != "" {
		q.Set("_since", since)
	}
	res, _, err := p.client.get(ctx, p.cfg.base()+"/$export?"+q.Encode(), map[string]string{"Prefer": "respond-async"})
	if err != nil {
		return "", err
	}
	job := res.Header.Get("Content-Location")
	if res.StatusCode != http.StatusAccepted || job == "" {
		return "", failed(res, "启动批量导出")
	}
	u, err := res.Request.URL.Parse(job)
	if err != nil {
		return "", fault.New(fault.Invalid, "批量导出的查询地址无法识别")
	}
	return u.String(), nil
}

// await asks for the job until it has ended.
func (p *Puller) await(ctx context.Context, job string) (*manifest, error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, longestPoll) {
		res, body, err := p.client.get(ctx, job, map[string]string{"Accept": "application/json"})
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusOK:
			var m manifest
			if err := json.Unmarshal(body, &m); err != nil {
				return nil, fault.New(fault.Invalid, "批量导出的清单无法读取：%w", err)
			}
			return &m, nil
		case http.StatusAccepted, http.StatusTooManyRequests, http.StatusServiceUnavailable:
			if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
				pause = min(time.Duration(n)*time.Second, longestPoll)
			}
		default:
			return nil, failed(res, "查询批量导出")
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// download streams one NDJSON file into messages.
func (p *Puller) download(ctx context.Context, address string) error {
	res, err := p.client.do(ctx, http.MethodGet, address, map[string]string{"Accept": "application/fhir+ndjson"}, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return failed(res, "下载批量导出文件")
	}
	r := bufio.NewReaderSize(res.Body, 256<<10)
	var batch []fhir.Node
	size := 0
	for {
		line, err := readLine(r)
		if len(bytes.TrimSpace(line)) > 0 {
			tree, perr := fhir.Parse(bytes.Clone(line))
			if perr != nil {
				return fault.New(fault.Invalid, "批量导出文件里有一行不是 JSON：%w", perr)
			}
			batch = append(batch, tree.Root())
			size += len(line)
		}
		if end := errors.Is(err, io.EOF); len(batch) > 0 && (end || len(batch) >= bulkBatch || size > 4<<20) {
			if err := p.append(ctx, batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine returns the next line with its end; io.EOF with the last.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, fault.New(fault.TooCostly, "批量导出文件的一行超过 %d MB", maxLine>>20)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil || errors.Is(err, io.EOF):
			return line, err
		default:
			return nil, fault.New(fault.Unavailable, "下载中断：%w", err)
		}
	}
}
