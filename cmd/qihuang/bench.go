package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// figure is one line of the product's figures.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal,omitempty"` // what is promised, in words
	Note  string  `json:"note,omitempty"`
}

func benchCmd() *cobra.Command {
	var offset, resources int
	var heavy bool
	var seconds float64
	var full, warehouse bool
	var visits int
	var only []string
	var profile string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "启动一个临时的数据中心，测量并以 JSON 行打印产品性能数字",
		Long:  "在临时目录启动整个数据中心（内置引擎，fsync 打开），由同一台机器施压，逐项打印 {\"name\",\"value\",\"unit\",\"goal\"}。机器有其他负载时数字会偏低：请看比值，不看单次绝对值。",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "qihuang-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			b := &bench{ctx: cmd.Context(), dir: dir, offset: offset, heavy: heavy, span: time.Duration(seconds * float64(time.Second)), only: only, profile: profile, out: json.NewEncoder(cmd.OutOrStdout()), errs: cmd.ErrOrStderr(),
				client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}}
			if full {
				b.volume = resources
			}
			if warehouse || visits > 0 {
				return b.runWarehouse(visits)
			}
			return b.run()
		},
	}
	cmd.Flags().IntVar(&offset, "port-offset", 20000, "临时数据中心的端口偏移")
	cmd.Flags().BoolVar(&heavy, "heavy", false, "也测几分钟的项目：一百万行 CSV、五百万条消息里查找")
	cmd.Flags().StringSliceVar(&only, "only", nil, "只测这些项目："+benchNames())
	cmd.Flags().StringVar(&profile, "profile", "", "把数据中心的 CPU 剖析写入此文件（go tool pprof）")
	cmd.Flags().Float64Var(&seconds, "seconds", 5, "每项测量的秒数")
	cmd.Flags().BoolVar(&full, "full", false, "另装入大量生成的资源：导入速度、磁盘、计数、规模增长（约十分钟，约 12 GB 磁盘）")
	cmd.Flags().BoolVar(&warehouse, "warehouse", false, "只测数据仓库：视图、新鲜度、重查询对诊间的影响")
	cmd.Flags().IntVar(&visits, "province-visits", 0, "数据仓库另写入这么多次就诊（如 15000000）并测驾驶舱面板、即席查询、存储；约需数十分钟与数十 GB 磁盘")
	cmd.Flags().IntVar(&resources, "resources", 5_000_000, "--full 装入的资源数")
	return cmd
}

// bench drives one hub of its own.
type bench struct {
	ctx     context.Context
	dir     string
	offset  int
	heavy   bool     // also the steps that take minutes
	only    []string // names of steps; empty = all
	profile string   // file of the hub's CPU profile, "" = none
	span    time.Duration
	out     *json.Encoder
	client  *http.Client
	cmd     *exec.Cmd
	volume  int       // resources of the full run; 0 = the short one
	errs    io.Writer // progress
}

func (b *bench) url(path string) string {
	return "http://" + b.address() + path
}

func (b *bench) print(f figure) { _ = b.out.Encode(f) }

// start starts the hub and returns how long until it is ready.
func (b *bench) start() (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	log, err := os.OpenFile(filepath.Join(b.dir, "hub.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	args := []string{"serve", "--data", filepath.Join(b.dir, "data"), "--port-offset", strconv.Itoa(b.offset)}
	if b.profile != "" {
		args, b.profile = append(args, "--profile", b.profile), "" // of the first start only
	}
	if b.heavy {
		file, err := b.heavyConfig()
		if err != nil {
			return 0, err
		}
		args = append(args, "--config", file)
	}
	b.cmd = exec.Command(self, args...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	begin := time.Now()
	if err := b.cmd.Start(); err != nil {
		return 0, err
	}
	for time.Since(begin) < time.Minute {
		if code, _, err := b.do("GET", "/readyz", "", nil); err == nil && code == http.StatusOK {
			return time.Since(begin), nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0, fault.New(fault.Unavailable, "数据中心一分钟内没有就绪，见 %s", log.Name())
}

func (b *bench) stop() {
	_ = b.cmd.Process.Signal(os.Interrupt)
	_ = b.cmd.Wait()
}

func (b *bench) do(method, path, contentType string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(b.ctx, method, b.url(path), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, data, err
}

// benchStep is one step of the short run.
type benchStep struct {
	name  string
	heavy bool // takes minutes: only with --heavy, or when named
	run   func(*bench) error
}

func benchSteps() []benchStep {
	return []benchStep{
		{"bundles", false, (*bench).bundles}, {"creates", false, (*bench).creates}, {"reads", false, (*bench).reads},
		{"documents", false, (*bench).documents}, {"soap", false, (*bench).soap}, {"huge", false, (*bench).huge}, {"disk", false, (*bench).disk}, {"grow", false, (*bench).grow},
		{"idle", false, (*bench).idle}, {"mllp", false, (*bench).mllp}, {"csv", true, (*bench).bigFile}, {"search", true, (*bench).search},
		{"restart", false, (*bench).restart},
	}
}

func benchNames() string {
	var names []string
	for _, s := range benchSteps() {
		names = append(names, s.name)
	}
	return strings.Join(names, "、")
}

// chosen are the steps to run.
func (b *bench) chosen() (out []benchStep, err error) {
	left := slices.Clone(b.only)
	for _, s := range benchSteps() {
		named := slices.Contains(left, s.name)
		left = slices.DeleteFunc(left, func(name string) bool { return name == s.name })
		if named || len(b.only) == 0 && (b.heavy || !s.heavy) {
			out = append(out, s)
		}
	}
	if len(left) > 0 {
		return nil, fault.New(fault.Invalid, "--only：没有名为 %s 的项目，可用：%s", left[0], benchNames())
	}
	return out, nil
}

func (b *bench) run() error {
	steps, err := b.chosen()
	if err != nil {
		return err
	}
	b.heavy = slices.ContainsFunc(steps, func(s benchStep) bool { return s.heavy })
	if _, err := b.start(); err != nil {
		return err
	}
	defer func() { b.stop() }()
	for _, step := range steps {
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		if err := step.run(b); err != nil {
			return err
		}
	}
	return nil
}

// restart measures how soon the hub is ready again with its data.
func (b *bench) restart() error {
	b.stop()
	ready, err := b.start()
	if err != nil {
		return err
	}
	b.print(figure{"ready-with-data", ready.Seconds(), "s", "≤ 5", ""})
	return nil
}

// address is where the hub listens.
func (b *bench) address() string { return "127.0.0.1:" + strconv.Itoa(8080+b.offset) }

// load is what calls in a row gave.
type load struct {
	rate float64         // calls per second
	lat  []time.Duration // of every call, ascending
	cpu  time.Duration   // of the hub, for one call
}

// note tells a load's tail and what a call cost the hub.
func (l *load) note(clients int) string {
	return fmt.Sprintf("p50 %.2f ms，p99 %.2f ms，%d 个客户端，服务端 CPU %d µs/次", at(l.lat, 50), at(l.lat, 99), clients, l.cpu.Microseconds())
}

// load calls fn from n workers, each with a connection of its own, for the span.
func (b *bench) load(workers int, fn func(w *wire, worker, i int) error) (*load, error) {
	var mu sync.Mutex
	var failed error
	out := &load{}
	spent, begin := b.spent(), time.Now()
	ctx, stop := context.WithTimeout(b.ctx, b.span)
	defer stop()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var mine []time.Duration
			conn := &wire{address: b.address()}
			defer conn.close()
			var err error
			for i := 0; ctx.Err() == nil && err == nil; i++ {
				t := time.Now()
				if err = fn(conn, w, i); err == nil {
					mine = append(mine, time.Since(t))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			out.lat = append(out.lat, mine...)
			if err != nil && failed == nil {
				failed = err
				stop()
			}
		})
	}
	wg.Wait()
	slices.Sort(out.lat)
	n := max(1, len(out.lat))
	out.rate, out.cpu = float64(len(out.lat))/time.Since(begin).Seconds(), (b.spent()-spent)/time.Duration(n)
	return out, errors.Join(failed, b.ctx.Err())
}

// spent is the processor time the hub has used, without its children.
func (b *bench) spent() time.Duration {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(b.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	w := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(w) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(w[11], 10, 64)
	system, _ := strconv.ParseInt(w[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // clock ticks
}

// at returns a percentile in milliseconds.
func at(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, len(sorted)*percent/100)].Microseconds()) / 1000
}

// want turns an unexpected status into an error with the beginning of the body.
func want(status, code int, body []byte, err error) error {
	if err != nil {
		return err
	}
	if code != status {
		return fault.New(fault.Internal, "status %d: %.200s", code, body)
	}
	return nil
}

const fhirJSON = "application/fhir+json"

// idle measures the memory of the whole process tree a few seconds after load.
func (b *bench) idle() error {
	if err := b.settle(); err != nil {
		return err
	}
	time.Sleep(20 * time.Second) // until the hub has given memory back
	b.print(figure{"idle-memory-after-load", float64(treeMemory(b.cmd.Process.Pid, "VmRSS:")) / 1024, "MB", "≤ 500",
		fmt.Sprintf("全部进程 RSS 之和；其中 %d MB 是程序自有的，其余是程序文件的页（数据中心与引擎共享的计两次，系统随时可收回）",
			treeMemory(b.cmd.Process.Pid, "RssAnon:")>>10)})
	return nil
}

// treeMemory sums a field of /proc/PID/status, in kB, over a process and its
// descendants: VmRSS, all that is resident, or RssAnon, what is no file's.
func treeMemory(root int, field string) (total int64) {
	parent, rss := map[int]int{}, map[int]int64{}
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, f := range files {
		status, err := os.ReadFile(f)
		if err != nil {
			continue // it ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		for line := range strings.Lines(string(status)) {
			w := strings.Fields(line)
			switch {
			case len(w) < 2:
			case w[0] == "PPid:":
				parent[pid], _ = strconv.Atoi(w[1])
			case w[0] == field:
				rss[pid], _ = strconv.ParseInt(w[1], 10, 64)
			}
		}
	}
	for pid, kb := range rss {
		for p := pid; p > 1; p = parent[p] {
			if p == root {
				total += kb
				break
			}
		}
	}
	return total
}
