package sink

import (
	"fmt"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

func posted(name, columns string) string {
	return `{"resourceType":"ViewDefinition","id":"mine","name":"` + name + `","status":"active","resource":"Patient","select":[{"column":[{"name":"id","path":"getResourceKey()","type":"string"}` + columns + `]}]}`
}

// TestStoredView follows a ViewDefinition that a client posts: a table with the
// resources of before, then another column, another type, another name, a
// restart, a wrong version, and its deletion.
func TestStoredView(t *testing.T) {
	b := setUp(t)
	_, stop := b.sink()
	var people []kafka.Record
	for i := range 50 {
		people = append(people, b.change("Patient", fmt.Sprintf("p%d", i), 1, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","gender":"male","birthDate":"19%02d-01-01"}`, i, i+10)))
	}
	b.publish(people...)
	b.await("SELECT count() FROM qihuang.patient", "50")
	put := func(version int64, text string) { b.publish(b.change("ViewDefinition", "mine", version, text)) }

	put(1, posted("my_patient", ""))
	b.await("SELECT count() FROM system.tables WHERE database = 'qihuang' AND name = 'my_patient'", "1")
	b.await("SELECT count() FROM qihuang.my_patient FINAL", "50")
	b.publish(b.change("Patient", "p50", 1, `{"resourceType":"Patient","id":"p50"}`), b.change("Patient", "p0", 2, ""))
	b.await("SELECT countIf(id = 'p50') * 1000 + count() FROM qihuang.my_patient FINAL", "1050")

	put(2, posted("my_patient", `,{"name":"born","path":"birthDate","type":"string"}`))
	b.await("SELECT count() FROM system.columns WHERE database = 'qihuang' AND table = 'my_patient' AND name = 'born'", "1")
	b.await("SELECT countIf(born LIKE '19%') FROM qihuang.my_patient FINAL", "49")
	put(3, posted("my_patient", `,{"name":"born","path":"birthDate","type":"date"}`))
	b.await("SELECT toTypeName(any(born)) FROM qihuang.my_patient FINAL", "Nullable(Date32)")
	b.await("SELECT countIf(toYear(born) > 1900) FROM qihuang.my_patient FINAL", "49")

	stop()
	b.publish(b.change("Patient", "p51", 1, `{"resourceType":"Patient","id":"p51","birthDate":"2001-01-01"}`))
	s, stop := b.sink()
	defer func() { stop() }()
	b.await("SELECT count() FROM qihuang.my_patient FINAL", "51")

	put(4, posted("her_patient", ""))
	b.await("SELECT count() FROM system.tables WHERE database = 'qihuang' AND name IN ('my_patient', 'her_patient')", "1")
	b.await("SELECT count() FROM qihuang.her_patient FINAL", "51")
	put(5, "")
	b.await("SELECT count() FROM system.tables WHERE database = 'qihuang' AND name LIKE '%_patient'", "0")

	for what, text := range map[string]string{
		"a wrong path":     posted("my_patient", `,{"name":"x","path":"birthDate.("}`),
		"a shipped table":  posted("encounter", ""),
		"the landing":      posted("resource", ""),
		"the roll-up":      posted("prescription", ""),
		"an inner table":   posted("_mine", ""),
		"SQL in the name":  posted("a; DROP TABLE patient", ""),
		"an inner column":  posted("my_patient", `,{"name":"_version","path":"birthDate"}`),
		"no such type":     posted("my_patient", `,{"name":"x","path":"birthDate","tag":[{"name":"clickhouse/type","value":"Nothing"}]}`),
		"a name in spaces": posted(" my_patient", ""),
	} {
		if err := s.Check([]byte(text)); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Unsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := s.Check([]byte(posted("my_patient", ""))); err != nil {
		t.Error(err)
	}
	put(6, posted("encounter", "")) // stored all the same, by another way in: nothing comes of it
	b.publish(b.change("Patient", "p52", 1, `{"resourceType":"Patient","id":"p52"}`))
	b.await("SELECT count() FROM qihuang.patient FINAL", "52")
	if got := b.ask("SELECT count() FROM system.columns WHERE database = 'qihuang' AND table = 'encounter' AND name = 'visit_no'"); got != "1" {
		t.Error("a stored view took a shipped table")
	}
}
