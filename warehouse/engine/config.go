package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config is the engine's configuration.
type Config struct {
	Library   string        // path of libchdb.so
	Data      string        // folder of this engine alone
	Listen    string        // host:port of the HTTP interface
	Memory    int64         // bytes the engine may use for queries and inserts
	Zone      string        // time zone of dates without one, such as "Asia/Shanghai"
	Databases []string      // made at start if absent
	Secret    string        // password every request must carry, "" = none; passed on by environment
	Queries   int           // statements running at once
	Waiting   int           // requests waiting for a place
	Queue     time.Duration // longest wait for a place
	Statement int64         // bytes of one statement, without data
	Body      int64         // bytes of one insert's data
	Result    int64         // bytes of one result held back (wait_end_of_query)
}

// Default returns the configuration of a small server: 40 % of the machine's
// memory, 32 statements at once.
func Default() Config {
	return Config{
		Listen:    "127.0.0.1:8123",
		Memory:    memoryShare(40),
		Zone:      "Asia/Shanghai",
		Databases: []string{"qihuang"},
		Queries:   32,
		Waiting:   1000,
		Queue:     30 * time.Second,
		Statement: 1 << 20,
		Body:      8 << 30,
		Result:    8 << 30,
	}
}

// Validate says what is wrong, in the operator's words.
func (c Config) Validate() error {
	switch {
	case c.Library == "":
		return fault.New(fault.Invalid, "engine: library path is missing; run `qihuang setup`")
	case c.Data == "":
		return fault.New(fault.Invalid, "engine: data folder is missing")
	case c.Listen == "":
		return fault.New(fault.Invalid, "engine: listen address is missing")
	case c.Memory < 256<<20:
		return fault.New(fault.Invalid, "engine: memory %d is below 256 MiB", c.Memory)
	case c.Queries < 1 || c.Waiting < 1 || c.Statement < 1024 || c.Body < 1024 || c.Result < 1024:
		return fault.New(fault.Invalid, "engine: limits must be positive")
	}
	return nil
}

func (c Config) temp() string { return filepath.Join(c.Data, "tmp") }

// xml is the engine's own configuration. The caches are small since the hub
// shares the machine with the clinic, and all queries together get about as
// many threads as there are cores. An acknowledged insert is on disk: the
// sink's position must never outlive the rows before it.
func (c Config) xml() string {
	return fmt.Sprintf(`<clickhouse>
  <mark_cache_size>%d</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <max_thread_pool_size>1000</max_thread_pool_size>
  <max_concurrent_queries>%d</max_concurrent_queries>
  <concurrent_threads_soft_limit_num>%d</concurrent_threads_soft_limit_num>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
  </merge_tree>
</clickhouse>
`, 128<<20, 2*c.Queries, max(2, runtime.NumCPU()))
}

// memoryShare returns percent of the machine's memory in bytes, 2 GiB where it
// cannot be told.
func memoryShare(percent int64) int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 2 << 30
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return kb * 1024 / 100 * percent
			}
		}
	}
	return 2 << 30
}
