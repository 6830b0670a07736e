package ncms

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func TestParseMoney_ok(t *testing.T) {
	for in, want := range map[string]string{"": "0.00", "null": "0.00", " 31.26 ": "31.26", "0.245": "0.245", "-3": "-3.00", "1.60": "1.60", "+2.5": "2.50", "12345678901234.56": "12345678901234.56"} {
		m, err := ParseMoney("je", in)
		if err != nil || FormatMoney(m) != want {
			t.Errorf("%q: %s %v", in, FormatMoney(m), err)
		}
	}
}

func TestParseMoney_bad(t *testing.T) {
	for _, in := range []string{"1e9", "NaN", "１２", "1,000.00", "--1", "1.2.3", "0x10", "1234567890123456789012345"} {
		if _, err := ParseMoney("je", in); !fault.Is(err, fault.Invalid) || fault.IssuesOf(err)[0].Expression != "je" {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestSumsAreExact adds a cent a hundred thousand times.
func TestSumsAreExact(t *testing.T) {
	cent, _ := ParseMoney("", "0.01")
	var sum Money
	for range 100_000 {
		sum = sum.Add(cent)
	}
	if FormatMoney(sum) != "1000.00" {
		t.Error(FormatMoney(sum))
	}
}

func TestText(t *testing.T) {
	var all []Text
	if err := json.Unmarshal([]byte(`["a",1.50,null,"null",true," b "]`), &all); err != nil {
		t.Fatal(err)
	}
	want := []Text{"a", "1.50", "", "", "true", "b"}
	for i := range want {
		if all[i] != want[i] {
			t.Errorf("%d: %q", i, all[i])
		}
	}
	var one Text
	if json.Unmarshal([]byte(`{}`), &one) == nil || json.Unmarshal([]byte(`[1]`), &one) == nil {
		t.Error("objects are no text")
	}
}

func TestErrors(t *testing.T) {
	if r := Refuse("已存在发票号码相同的结算记录"); !r.Duplicate || !fault.Is(r, fault.Conflict) {
		t.Errorf("%+v", r)
	}
	if r := Refuse(" "); r.Duplicate || !fault.Is(r, fault.Precondition) || RefusedBy(r) != r {
		t.Errorf("%+v", r)
	}
	cause := errors.New("cut")
	if l := error(&Lost{cause}); !IsLost(l) || !fault.Is(l, fault.Unavailable) || !errors.Is(l, cause) {
		t.Error(l)
	}
	if l := fault.New(fault.Unavailable, "x：%w", &Lost{cause}); !IsLost(l) {
		t.Error("a wrapped loss is a loss")
	}
}
