package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("index Patient/1: %w", New(Gone, "deleted"))
	if KindOf(err) != Gone || !Is(err, Gone) {
		t.Fatalf("kind of %v = %v", err, KindOf(err))
	}
	if KindOf(io.EOF) != Internal {
		t.Fatal("an unknown error must be Internal")
	}
	if Is(nil, Internal) {
		t.Fatal("nil is no failure")
	}
}

func TestNewKeepsCause(t *testing.T) {
	err := New(Unavailable, "append to inbound: %w", io.ErrUnexpectedEOF)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal("cause lost")
	}
	if got := err.Error(); got != "append to inbound: unexpected EOF" {
		t.Fatalf("Error() = %q", got)
	}
	if got := New(Unavailable, "端口已被占用：%w", io.ErrUnexpectedEOF).Error(); got != "端口已被占用: unexpected EOF" {
		t.Fatalf("Error() = %q", got)
	}
}
