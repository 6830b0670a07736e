package mapping

import (
	"context"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// TestUnmappedMessageIsNamed looks at what the dead letter of a message without
// a map says.
func TestUnmappedMessageIsNamed(t *testing.T) {
	src, err := Read(FormatV2, "", []byte("MSH|^~\\&|A|B|C|D|20260101||ZZZ^Z99|1|P|2.5\r"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = shipped(t).Find(context.Background(), src)
	is := fault.IssuesOf(err)
	if !fault.Is(err, fault.Unsupported) || len(is) != 1 || !strings.Contains(is[0].Text, "ZZZ^Z99") || is[0].Expression != "MSH-9" {
		t.Errorf("%v %+v", err, is)
	}
}
