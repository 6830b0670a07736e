package shelf

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestGet(t *testing.T) {
	fs := vfs.NewMem()
	for _, o := range []Options{{FS: fs}, {FS: fs, Misses: true, MemTable: 8 << 20}} { // the second opens what the first left
		db, err := Open("x", o)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Set([]byte("a"), nil, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if v, err := Get(db, []byte("a")); v == nil || len(v) != 0 || err != nil {
			t.Errorf("an empty value is %v, %v", v, err)
		}
		if v, err := Get(db, []byte("b")); v != nil || err != nil {
			t.Errorf("no value is %v, %v", v, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFatalDoesNotReturn(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Pebble would go on after a fatal error")
		}
	}()
	silent{}.Fatalf("%s", "x")
}
