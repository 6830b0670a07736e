package engine

import (
	"strings"
	"testing"
)

func TestParse_ok(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"SELECT 1", "SELECT 1 INTO OUTFILE '/o' TRUNCATE "},
		{" select 1 format JSON ", " select 1  INTO OUTFILE '/o' TRUNCATE format JSON"},
		{"SELECT 1 AS format", "SELECT 1 AS format INTO OUTFILE '/o' TRUNCATE "},
		{"SELECT 1 SETTINGS a=1 FORMAT CSV;", "SELECT 1 SETTINGS a=1  INTO OUTFILE '/o' TRUNCATE FORMAT CSV"},
		{"SELECT 1 FORMAT CSV SETTINGS a=1", "SELECT 1  INTO OUTFILE '/o' TRUNCATE FORMAT CSV SETTINGS a=1"},
		{"SHOW TABLES SETTINGS a=1", "SHOW TABLES  INTO OUTFILE '/o' TRUNCATE SETTINGS a=1"},
		{"SELECT 1 -- FORMAT CSV\n", "SELECT 1 INTO OUTFILE '/o' TRUNCATE "},
		{"SELECT $$;$$", "SELECT $$;$$ INTO OUTFILE '/o' TRUNCATE "},
		{"SELECT 'a'';' /* ; */", "SELECT 'a'';' INTO OUTFILE '/o' TRUNCATE "},
		{"INSERT INTO t VALUES (1)", "INSERT INTO t FROM INFILE '/i'  FORMAT Values| (1)"},
		{"INSERT INTO t (a, values) VALUES(1)", "INSERT INTO t (a, values) FROM INFILE '/i'  FORMAT Values|(1)"},
		{"insert into `t` format CSV\n1;2", "insert into `t` FROM INFILE '/i'  FORMAT CSV|1;2"},
		{"INSERT INTO t FORMAT CSV  \r\n\n1", "INSERT INTO t FROM INFILE '/i'  FORMAT CSV|\n1"},
		{"INSERT INTO t SETTINGS a=1 FORMAT CSV ", "INSERT INTO t  FROM INFILE '/i' SETTINGS a=1 FORMAT CSV|"},
		{"INSERT INTO t SELECT x FROM input('x Int8') FORMAT TSV 1", "INSERT INTO t SELECT x FROM file('/i', 'TSV', 'x Int8') |1"},
		{"INSERT INTO t SELECT 1", "INSERT INTO t SELECT 1"},
		{"INSERT INTO format VALUES (1)", "INSERT INTO format FROM INFILE '/i'  FORMAT Values| (1)"},
		{"OPTIMIZE TABLE t FINAL", "OPTIMIZE TABLE t FINAL"},
	} {
		s, err := parse(c.src)
		if err != nil {
			t.Errorf("%q: %v", c.src, err)
			continue
		}
		got := s.text
		if s.dataAt >= 0 {
			got = s.insert(c.src, "/i") + "|" + c.src[s.dataAt:]
		} else if s.rows {
			got = s.output("/o")
		}
		if got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.src, got, c.want)
		}
	}
}

func TestParse_bad(t *testing.T) {
	for src, code := range map[string]int{
		"": 62, " -- x": 62, ";": 62, "SELECT 1; SELECT 2": 62, "SELECT 1;;": 62,
		"SELECT 1 INTO OUTFILE 'x'": 358, "INSERT INTO t FROM INFILE 'x' FORMAT CSV": 78,
		"SELECT * FROM file('x')": 497, "SELECT * FROM /**/ FILE /**/ ('x')": 497, "SELECT * FROM \"file\"('x')": 497,
		"CREATE TABLE t (a Int8) ENGINE=File(CSV)": 497, "CREATE TABLE t (a Int8) ENGINE = File": 497,
		"CREATE DICTIONARY d (a Int8) PRIMARY KEY a SOURCE(EXECUTABLE(COMMAND 'x'))": 497,
	} {
		if _, err := parse(src); err == nil || asException(err).Code != code {
			t.Errorf("%q: %v", src, err)
		}
	}
}

// FuzzParse checks that no input breaks the parser and that what it cuts off
// as data is never part of the statement.
func FuzzParse(f *testing.F) {
	for _, src := range []string{"SELECT 1", "INSERT INTO t FORMAT CSV\n1\n\nDROP", "INSERT INTO t (a) VALUES ('x')", "SELECT '\\", "$a$x$a$ FORMAT x", "/* "} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, err := parse(src)
		if err != nil {
			return
		}
		if s.dataAt >= 0 {
			if s.dataAt < s.inAt || s.dataAt > len(src) || !strings.HasPrefix(src, s.text) {
				t.Fatalf("%+v", s)
			}
			_ = s.insert(src, "/i")
		} else {
			_ = s.output("/o")
		}
	})
}
