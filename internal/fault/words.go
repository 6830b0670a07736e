package fault

import (
	"errors"
	"strconv"
)

// Sentence is err in one Chinese sentence for the person who can mend it, without
// health data: the first finding's text, else the message. An internal fault is
// not explained: its cause is the operator's.
func Sentence(err error) string {
	for _, is := range IssuesOf(err) {
		if is.Text != "" {
			return is.Text
		}
	}
	var e *Error
	if errors.As(err, &e) && e.Kind != Internal {
		return e.Msg
	}
	return "系统内部错误，请把发生的时间告诉管理员"
}

// Place is where err's first finding with a place stands: an expression,
// line:column, or both ("PID-3 @2:14"); "" if none has.
func Place(err error) string {
	for _, is := range IssuesOf(err) {
		place := is.Expression
		if is.Line > 0 {
			if place != "" {
				place += " @"
			}
			place += strconv.Itoa(is.Line) + ":" + strconv.Itoa(is.Col)
		}
		if place != "" {
			return place
		}
	}
	return ""
}
