package main

import (
	"os"
	"strings"
	"time"
)

// analysed says that the marts open to analysts hold every visit and
// prescription, and that every SQL example of their guide runs.
func (h *program) analysed(visits, prescriptions string) {
	h.t.Helper()
	h.eventually(60*time.Second, "every visit and prescription in the marts", func() bool {
		return h.sql("SELECT (SELECT count() FROM qihuang.mart_visit), (SELECT count() FROM qihuang.mart_prescription)") == visits+"\t"+prescriptions
	})
	text, err := os.ReadFile("../../docs/guides/analyst.md")
	if err != nil {
		h.t.Fatal(err)
	}
	examples := 0
	for _, block := range strings.Split(string(text), "```sql\n")[1:] {
		query, _, _ := strings.Cut(block, "\n```")
		examples++
		if out := h.sql(query); strings.HasPrefix(out, "error: ") {
			h.t.Errorf("%s: %s", query, out)
		}
	}
	if examples < 8 {
		h.t.Errorf("%d examples found", examples)
	}
}
