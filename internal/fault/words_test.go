package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestSentenceAndPlace(t *testing.T) {
	for _, c := range []struct {
		name            string
		err             error
		sentence, place string
	}{
		{"message", New(NotFound, "没有这家馆"), "没有这家馆", ""},
		{"finding", New(Invalid, "有误").With(Issue{Expression: "a"}, Issue{Text: "日期写错了", Line: 2, Col: 14}), "日期写错了", "a"},
		{"both", New(Invalid, "有误").With(Issue{Text: "x", Expression: "PID-3", Line: 2, Col: 14}), "x", "PID-3 @2:14"},
		{"line", New(Invalid, "有误").With(Issue{Text: "x", Line: 2, Col: 1}), "x", "2:1"},
		{"wrapped", fmt.Errorf("index: %w", New(Gone, "已删除")), "已删除", ""},
		{"internal", New(Internal, "secret"), "系统内部错误，请把发生的时间告诉管理员", ""},
		{"foreign", errors.New("dial tcp"), "系统内部错误，请把发生的时间告诉管理员", ""},
	} {
		if s, p := Sentence(c.err), Place(c.err); s != c.sentence || p != c.place {
			t.Errorf("%s: %q at %q", c.name, s, p)
		}
	}
}
