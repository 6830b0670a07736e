package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// marker is the session setting that names a running query: the library gives
// no other way to find one. It only filters client logs, which are off here.
const marker = "send_logs_source_regexp"

// instance is the engine of this process over one data folder.
type instance struct {
	lib      *library
	args     []string
	keep     *connection // the engine lives while a connection is open
	version  string
	timezone string
}

// start loads the library and opens the data folder.
func start(cfg Config) (*instance, error) {
	lib, err := loadLibrary(cfg.Library)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(cfg.Data, "engine.xml")
	if err := os.WriteFile(file, []byte(cfg.xml()), 0o600); err != nil {
		return nil, err
	}
	e := &instance{lib: lib, args: []string{"clickhouse", "--path=" + filepath.Join(cfg.Data, "store"), "--config-file=" + file,
		"--max_server_memory_usage=" + strconv.FormatInt(cfg.Memory, 10)}}
	if e.keep, err = lib.open(e.args); err != nil {
		return nil, err
	}
	for _, step := range []func() error{e.secure, e.identify, func() error { return e.prepare(cfg.Databases) }} {
		if err := step(); err != nil {
			e.keep.close()
			return nil, fault.New(fault.Unavailable, "prepare the engine: %w", err)
		}
	}
	return e, nil
}

// secure replaces the library's default database, which shows the file system
// as tables, with an ordinary one.
func (e *instance) secure() error {
	kind, err := e.ask("SELECT engine FROM system.databases WHERE name = 'default'")
	if err != nil || kind == "Atomic" {
		return err
	}
	_, err = e.ask("DROP DATABASE IF EXISTS default SYNC; CREATE DATABASE default ENGINE = Atomic")
	return err
}

func (e *instance) identify() (err error) {
	if e.version, err = e.ask("SELECT version()"); err != nil {
		return err
	}
	e.timezone, err = e.ask("SELECT timezone()")
	return err
}

func (e *instance) prepare(databases []string) error {
	for _, name := range databases {
		if _, err := e.ask("CREATE DATABASE IF NOT EXISTS " + identifier(name)); err != nil {
			return err
		}
	}
	return nil
}

// ask runs a statement of ours on the kept connection and returns its output
// as trimmed text. Only for start-up: connections are not for concurrent use.
func (e *instance) ask(query string) (string, error) {
	var out strings.Builder
	_, err := e.keep.exec(query, "TabSeparated", params{}, func(b []byte) error { out.Write(b); return nil })
	return strings.TrimSpace(out.String()), err
}

// kill ends the query marked id, trying again until done since the query may
// not have begun yet.
func (e *instance) kill(id string, done <-chan struct{}) {
	c, err := e.lib.open(e.args)
	if err != nil {
		return
	}
	defer c.close()
	for wait := time.NewTicker(50 * time.Millisecond); ; {
		_, _ = c.exec("KILL QUERY WHERE Settings['"+marker+"'] = "+quote(id)+" ASYNC", "Null", params{}, nil)
		select {
		case <-done:
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// watch reports the progress of the query marked id until ctx ends.
func (e *instance) watch(ctx context.Context, id string, report func(string)) {
	c, err := e.lib.open(e.args)
	if err != nil {
		return
	}
	defer c.close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, _ = c.exec("SELECT toString(read_rows) AS read_rows, toString(read_bytes) AS read_bytes, toString(written_rows) AS written_rows,"+
			" toString(written_bytes) AS written_bytes, toString(total_rows_approx) AS total_rows_to_read,"+
			" toString(toUInt64(elapsed * 1e9)) AS elapsed_ns FROM system.processes WHERE Settings['"+marker+"'] = "+quote(id),
			"JSONEachRow", params{}, func(b []byte) error { report(strings.TrimSpace(string(b))); return nil })
	}
}

func (e *instance) close() { e.keep.close() }

// hello is what clickhouse-go asks first on every connection.
const hello = "SELECT displayName(), version(), revision(), timezone()"

// helloBlock answers hello. The driver decodes this block at a fixed, new
// revision of the Native format, and all later ones at the revision it tells:
// 0, the only one the library writes.
func (e *instance) helloBlock() []byte {
	var b bytes.Buffer
	str := func(s string) {
		b.Write(binary.AppendUvarint(nil, uint64(len(s))))
		b.WriteString(s)
	}
	b.Write([]byte{1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0}) // BlockInfo: no overflow, bucket -1
	b.Write([]byte{4, 1})                               // columns, rows
	for _, c := range [][2]string{{"displayName()", displayName}, {"version()", e.version}, {"revision()", ""}, {"timezone()", e.timezone}} {
		str(c[0])
		if c[0] == "revision()" {
			str("UInt32")
			b.Write([]byte{0, 0, 0, 0, 0}) // default serialization, then the value
			continue
		}
		str("String")
		b.WriteByte(0)
		str(c[1])
	}
	return b.Bytes()
}

// displayName is the server's name for people.
const displayName = "qihuang"
