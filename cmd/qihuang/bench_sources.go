package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/journal"
)

const mllpSenders = 64

// mllp sends HL7 v2 messages over many connections, each waiting for its
// acknowledgement, and then waits until they are FHIR.
func (b *bench) mllp() error {
	conns := make([]net.Conn, mllpSenders)
	readers := make([]*bufio.Reader, mllpSenders)
	for i := range conns {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(2575+b.offset))
		if err != nil {
			return err
		}
		defer c.Close()
		conns[i], readers[i] = c, bufio.NewReader(c)
	}
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	begin := time.Now()
	l, err := b.load(mllpSenders, func(_ *wire, w, i int) error {
		id := fmt.Sprintf("%s-%d-%d", run, w, i)
		m := "\x0bMSH|^~\\&|HIS|bench|HUB|TCM|20261120083105||ADT^A04^ADT_A01|" + id + "|P|2.5.1\rEVN|A04|20261120083105\rPID|1||" + id + "^^^bench^PI||测^试||19700101|F\rPV1|1|O|||||||||||||||||" + id + "|||||||||||||||||||||||||20261120083105\r\x1c\r"
		if _, err := conns[w].Write([]byte(m)); err != nil {
			return err
		}
		ack, err := readers[w].ReadString(0x1c)
		if err == nil && !strings.Contains(ack, "MSA|AA") {
			err = fault.New(fault.Internal, "answer %.200q", ack)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("mllp: %w", err)
	}
	b.print(figure{"mllp-acknowledged", l.rate, "messages/s", "≥ 3000", "落盘后确认；" + l.note(mllpSenders)})
	if err := b.drained(); err != nil {
		return err
	}
	b.print(figure{"mllp-mapped", float64(len(l.lat)) / time.Since(begin).Seconds(), "messages/s", "≥ 1500", "从第一条发出到全部写入 FHIR"})
	return nil
}

// drained waits until every accepted message is handled.
func (b *bench) drained() error {
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		code, body, err := b.do("GET", "/api/status", "", nil)
		var s struct{ Lag int64 }
		if err := want(http.StatusOK, code, body, err); err != nil {
			return err
		}
		if err := json.Unmarshal(body, &s); err == nil && s.Lag == 0 {
			return nil
		}
	}
	return fault.New(fault.Unavailable, "消息十分钟内没有处理完")
}

const millionRows = 1_000_000

// bigFile drops a CSV of a million rows into a watched folder.
func (b *bench) bigFile() error {
	folder := filepath.Join(b.dir, "drop")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(folder, "BENCH.csv.part"))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintln(w, "SBXH,BRID,FYMC,JE,SFRQ")
	for i := range millionRows {
		fmt.Fprintf(w, "%d,%d,中药饮片费,%d.50,2026-10-12 08:31:05\n", i, i%5000, i%100)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	before := treeMemory(b.cmd.Process.Pid, "VmRSS:")
	begin := time.Now()
	if err := os.Rename(f.Name(), filepath.Join(folder, "BENCH.csv")); err != nil {
		return err
	}
	most := before
	for {
		if _, err := os.Stat(filepath.Join(folder, "done", "BENCH.csv")); err == nil {
			break
		}
		if b.ctx.Err() != nil || time.Since(begin) > 10*time.Minute {
			return fault.New(fault.Unavailable, "一百万行的文件十分钟内没有收完")
		}
		most = max(most, treeMemory(b.cmd.Process.Pid, "VmRSS:"))
		time.Sleep(200 * time.Millisecond)
	}
	b.print(figure{"csv-million-rows", time.Since(begin).Seconds(), "s", "≤ 180", fmt.Sprintf("全部行落盘；期间内存最多增加 %d MB", (most-before)>>10)})
	return nil
}

const browsed = 5_000_000

// search looks for business keys among five million messages, in a journal of
// its own.
func (b *bench) search() error {
	j, err := journal.Open(journal.Default(filepath.Join(b.dir, "journal")), nil, func(*pipeline.Message) []journal.Key { return nil }, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer j.Close()
	if err := j.Generate(browsed); err != nil {
		return err
	}
	var lat []time.Duration
	for i := range 200 {
		for _, q := range []journal.Query{{Key: fmt.Sprint("患者", i*977)}, {Key: fmt.Sprint("v", i*9973)}, {Key: "患者7"}, {Source: fmt.Sprint("source-", i%100)}, {Kind: "none"}} {
			q.Limit = 50
			begin := time.Now()
			if _, err := j.Search(b.ctx, q); err != nil {
				return err
			}
			lat = append(lat, time.Since(begin))
		}
	}
	slices.Sort(lat)
	b.print(figure{"message-search-p99", at(lat, 99), "ms", "≤ 500", "500 万条消息，按姓名、就诊号、前缀、来源，与不匹配任何消息的条件"})
	return nil
}

// heavyConfig is the hub's configuration of the heavy steps: a watched folder.
func (b *bench) heavyConfig() (string, error) {
	file := filepath.Join(b.dir, "hub.yaml")
	text := "sources:\n  - name: bench\n    kind: files\n    files: {folder: " + strconv.Quote(filepath.Join(b.dir, "drop")) + ", interval: 500ms, check: false}\n"
	return file, os.WriteFile(file, []byte(text), 0o600)
}
