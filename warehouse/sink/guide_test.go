package sink

import (
	"os"
	"strings"
	"testing"
)

// TestGuide runs every SQL example of the analysts' guide over the real tables.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/analyst.md")
	if err != nil {
		t.Fatal(err)
	}
	b := setUp(t)
	_, stop := b.sink()
	defer stop()
	b.publish(
		b.change("Encounter", "e1", 1, `{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"},"serviceProvider":{"identifier":{"value":"H1"}},"period":{"start":"2026-11-22T08:00:00+08:00"}}`),
		b.change("ChargeItem", "c1", 1, `{"resourceType":"ChargeItem","id":"c1","status":"billed","code":{"text":"饮片"},"subject":{"reference":"Patient/p1"},"context":{"reference":"Encounter/e1"},"priceOverride":{"value":12.5,"currency":"CNY"}}`),
		b.change("Medication", "m1", 1, medication("m1", "黄芪")),
		b.change("MedicationRequest", "r1", 1, request("r1", "W1")),
	)
	b.await("SELECT count() FROM qihuang.prescription FINAL", "1")
	examples := 0
	for _, block := range strings.Split(string(text), "```sql\n")[1:] {
		query, _, _ := strings.Cut(block, "\n```")
		examples++
		rows, err := b.conn.Query(t.Context(), query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		for rows.Next() {
		}
		if err := rows.Err(); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		_ = rows.Close()
	}
	if examples < 7 {
		t.Errorf("%d examples found", examples)
	}
}
