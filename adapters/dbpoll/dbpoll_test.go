package dbpoll

import (
	"context"
	"database/sql"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// server is a database made for the test.
type server struct {
	driver Driver
	dsn    string
	db     *sql.DB
}

// start runs a program until the test ends; as root, as another user (database
// servers refuse to run as root).
func start(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = unprivileged()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		done := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		done.Stop()
	})
}

const nobodyID = 65534

func unprivileged() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID}}
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = unprivileged()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%s does not start here: database test skipped (%v: %.200s)", filepath.Base(program), err, out)
	}
}

// folder is a temporary folder that the server's user may use.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qh-db-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		if err := os.Chown(dir, nobodyID, nobodyID); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func find(t *testing.T, program string, more ...string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	for _, pattern := range more {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Skip(program + " is not installed: database test skipped")
	return ""
}

func postgres(t *testing.T) *server {
	initdb, pg := find(t, "initdb", "/usr/lib/postgresql/*/bin/initdb"), find(t, "postgres", "/usr/lib/postgresql/*/bin/postgres")
	dir, port := folder(t), freePort(t)
	run(t, initdb, "-D", dir+"/data", "-A", "trust", "-U", "qh", "--no-sync", "-E", "UTF8", "--locale=C")
	start(t, pg, "-D", dir+"/data", "-p", port, "-k", dir, "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1")
	return connect(t, Postgres, "postgres://qh@127.0.0.1:"+port+"/postgres?sslmode=disable")
}

func mariadb(t *testing.T) *server {
	install, daemon := find(t, "mariadb-install-db"), find(t, "mariadbd", "/usr/sbin/mariadbd")
	dir, port := folder(t), freePort(t)
	run(t, install, "--no-defaults", "--datadir="+dir+"/data", "--auth-root-authentication-method=normal", "--skip-test-db")
	start(t, daemon, "--no-defaults", "--datadir="+dir+"/data", "--port="+port, "--socket="+dir+"/s", "--bind-address=127.0.0.1", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0")
	return connect(t, MySQL, "root@tcp(127.0.0.1:"+port+")/mysql?charset=utf8mb4")
}

func connect(t *testing.T, d Driver, dsn string) *server {
	t.Helper()
	cfg := Default()
	cfg.Driver, cfg.DSN = d, dsn
	db, err := open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := &server{d, cfg.DSN, db}
	for end := time.Now().Add(30 * time.Second); ; {
		if err = db.Ping(); err == nil {
			return s
		}
		if time.Now().After(end) {
			t.Skipf("the database does not answer: test skipped (%v)", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *server) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, q := range statements {
		if s.driver == Postgres {
			q = "BEGIN; SET TRANSACTION READ WRITE; " + q + "; COMMIT"
		}
		if _, err := s.db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// log collects the rows that are sent.
type log struct {
	mu   sync.Mutex
	rows []string
	keys map[string]string
}

func (l *log) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	b, err := table.ReadBatch(m.Body)
	if err != nil {
		return pipeline.Position{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range b.Rows {
		r := b.Row(i)
		l.rows = append(l.rows, b.Table+" "+r.Get("BRID")+" "+r.Get("BRXM")+" "+r.Get("XGSJ")+" "+r.Get("JE"))
		l.keys[r.Get("BRID")] = m.Key
	}
	return pipeline.Position{}, nil
}

func (l *log) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.rows, "; ")
	l.rows = nil
	return s
}

func poller(t *testing.T, s *server, dir string, tables ...Table) (*Poller, *log, *source.Desk) {
	t.Helper()
	l := &log{keys: map[string]string{}}
	desk, err := source.New(source.Config{File: filepath.Join(dir, "s.json"), Zone: time.UTC}, source.Parts{Inbound: l, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	state, err := source.OpenState(dir, "clinic")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Driver, cfg.DSN, cfg.Tables, cfg.Timeout = s.driver, s.dsn, tables, 5*time.Second
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg, Parts{Intake: desk.Intake("clinic"), State: state, Dir: filepath.Join(dir, "rows")})
	if err != nil {
		t.Fatal(err)
	}
	return p, l, desk
}

// TestPolling follows a table by watermark and one by comparison, over a
// restart, a reverted row and a vanished column.
func TestPolling(t *testing.T) {
	if testing.Short() {
		t.Skip("starts database servers")
	}
	for name, make := range map[string]func(*testing.T) *server{"postgres": postgres, "mariadb": mariadb} {
		t.Run(name, func(t *testing.T) { t.Parallel(); polling(t, make(t)) })
	}
}

func polling(t *testing.T, s *server) {
	if s.driver == MySQL {
		s.exec(t, "ALTER DATABASE mysql CHARACTER SET utf8mb4")
	}
	s.exec(t, "CREATE TABLE ms_brda (brid varchar(18) PRIMARY KEY, brxm varchar(40), xgsj timestamp NULL)",
		"CREATE TABLE ms_sfmx (mzxh integer, sfxm integer, je decimal(12,2), PRIMARY KEY (mzxh, sfxm))",
		"INSERT INTO ms_brda VALUES ('1', '张三', '2026-10-01 08:00:00'), ('2', '李四', '2026-10-02 08:00:00'), ('3', NULL, NULL)",
		"INSERT INTO ms_sfmx VALUES (7, 1, 10.50)")
	tables := []Table{{Name: "ms_brda", As: "MS_BRDA", Key: []string{"brid"}, Watermark: "xgsj", Overlap: time.Hour}, {Name: "ms_sfmx", As: "MS_SFMX", Key: []string{"mzxh", "sfxm"}}}
	dir := t.TempDir()
	p, l, _ := poller(t, s, dir, tables...)
	step := func(want ...string) {
		t.Helper()
		if err := p.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := l.take()
		n := 0
		if got != "" {
			n = len(strings.Split(got, "; "))
		}
		if n != len(want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("sent %q, lacks %q", got, w)
			}
		}
	}
	step("MS_BRDA 1 张三 2026-10-01 08:00:00", "MS_BRDA 2 李四", "MS_BRDA 3", "10.50")
	step()
	s.exec(t, "UPDATE ms_brda SET brxm = '张三丰', xgsj = '2026-10-03 08:00:00' WHERE brid = '1'", "UPDATE ms_sfmx SET je = 11",
		"INSERT INTO ms_brda VALUES ('4', '王五', '2026-10-02 07:30:00')") // committed late, within the overlap
	step("MS_BRDA 1 张三丰", "MS_BRDA 4 王五", "11.00")
	s.exec(t, "UPDATE ms_sfmx SET je = 10.50") // as it was before
	step("10.50")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p, l, desk := poller(t, s, dir, tables...)
	defer p.Close()
	step()
	s.exec(t, "ALTER TABLE ms_brda DROP COLUMN brxm", "UPDATE ms_sfmx SET je = 12")
	if err := p.Round(t.Context()); !fault.Is(err, fault.Invalid) {
		t.Errorf("a column is gone: %v", err)
	}
	if got := l.take(); !strings.Contains(got, "12.00") || strings.Contains(got, "MS_BRDA") {
		t.Errorf("the other table must go on, the broken one stop: %q", got)
	}
	if a := desk.Alerts(); len(a) != 1 || a[0].Kind != columnGone {
		t.Errorf("alerts %+v", a)
	}
	if _, err := p.db.Exec("INSERT INTO ms_sfmx VALUES (9, 9, 1)"); s.driver == Postgres && err == nil {
		t.Error("the poller's connection can write")
	}
}

func TestQuery(t *testing.T) {
	table := Table{Name: "his.MS_CF01", Key: []string{"CFSB"}, Watermark: "KFRQ", Columns: []string{"CFSB", "KFRQ"}, Where: "ZFPB = 0"}
	for d, want := range map[Driver]string{
		MySQL:     "SELECT `CFSB`, `KFRQ` FROM `his`.`MS_CF01` WHERE (ZFPB = 0) AND `KFRQ` >= ? ORDER BY `KFRQ`",
		Postgres:  `SELECT "CFSB", "KFRQ" FROM "his"."MS_CF01" WHERE (ZFPB = 0) AND "KFRQ" >= $1 ORDER BY "KFRQ"`,
		SQLServer: `SELECT [CFSB], [KFRQ] FROM [his].[MS_CF01] WHERE (ZFPB = 0) AND [KFRQ] >= @p1 ORDER BY [KFRQ]`,
		Oracle:    `SELECT "CFSB", "KFRQ" FROM "HIS"."MS_CF01" WHERE (ZFPB = 0) AND "KFRQ" >= :1 ORDER BY "KFRQ"`,
	} {
		if got := d.query(table, true); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", d, got, want)
		}
	}
}

func TestConfig_bad(t *testing.T) {
	ok := Default()
	ok.Driver, ok.DSN, ok.Tables = MySQL, "x@/y", []Table{{Name: "T", Key: []string{"K"}}}
	if err := ok.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Config){
		"driver":    func(c *Config) { c.Driver = "sqlite" },
		"injection": func(c *Config) { c.Tables = []Table{{Name: "T; DROP TABLE T", Key: []string{"K"}}} },
		"key":       func(c *Config) { c.Tables = []Table{{Name: "T"}} },
		"watermark": func(c *Config) { c.Tables = []Table{{Name: "T", Key: []string{"K"}, Watermark: "a b"}} },
	} {
		c := ok
		edit(&c)
		if c.Validate() == nil {
			t.Errorf("%s accepted", name)
		}
	}
}

// TestHangingPartner: a server that accepts and says nothing costs the time
// limit, no more, and raises an alert.
func TestHangingPartner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, _, _ := poller(t, &server{driver: MySQL, dsn: "u@tcp(" + l.Addr().String() + ")/x"}, t.TempDir(), Table{Name: "T", Key: []string{"K"}})
	defer p.Close()
	p.cfg.Timeout = 200 * time.Millisecond
	begin := time.Now()
	if err := p.Round(t.Context()); !fault.Is(err, fault.Unavailable) || time.Since(begin) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
