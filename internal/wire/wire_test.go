package wire

import (
	"encoding/json"
	"testing"
	"time"
)

// TestEmptyIsLeftOut: FHIR knows no empty strings, arrays or objects.
func TestEmptyIsLeftOut(t *testing.T) {
	for want, v := range map[string]any{
		`{"coding":[{"system":"s","code":"c"}]}`:                          Code("s", "c", ""),
		`{"coding":[{"system":"s","code":"c","display":"d"}],"text":"w"}`: Code("s", "c", "d").Worded("w"),
		`{"text":"w"}`:           Text("w"),
		`{"reference":"Task/1"}`: To("Task/1"),
		`{"identifier":{"system":"s","value":"v"},"display":"d"}`: Called("s", "v", "d"),
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}

func TestMoments(t *testing.T) {
	china := time.FixedZone("CST", 8*3600)
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, china)
	if p := Days(begin.UTC(), begin.AddDate(0, 1, 0), china); p != (Period{"2026-11-01", "2026-11-30"}) {
		t.Errorf("%+v", p)
	}
	if at := When(Instant(begin)); !at.Equal(begin) || !When("yesterday").IsZero() {
		t.Errorf("%v", at)
	}
	if (Concept{}).First() != "" || Code("s", "c", "").First() != "c" {
		t.Error("first code")
	}
}
