package server

import (
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func TestPager(t *testing.T) {
	p := pager{key: []byte("k")}
	want := cursor{offset: 12345, total: -1, place: "a\x00b"}
	token := p.seal("/Patient", "name=li", want)
	if got, err := p.open("/Patient", "name=li", token); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range [][3]string{{"/Patient", "name=wang", token}, {"/Observation", "name=li", token},
		{"/Patient", "name=li", token[:len(token)-1]}, {"/Patient", "name=li", "AAAA"}, {"/Patient", "name=li", "?"}} {
		if _, err := p.open(bad[0], bad[1], bad[2]); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestStrip(t *testing.T) {
	for in, want := range map[string]string{"": "", "_format=json": "", "name=%E6%9D%8E&_pretty=true&_count=3": "name=%E6%9D%8E&_count=3",
		"a=1&&b=2": "a=1&b=2", "%5Fformat=json&a=1": "a=1"} {
		if got := strip(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzPager(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		_, _ = pager{}.open("/Patient", "", token)
	})
}
