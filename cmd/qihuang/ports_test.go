package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// TestBindWaitsForAKilledHub takes a port that is let go of a little later.
func TestBindWaitsForAKilledHub(t *testing.T) {
	old, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	addr := old.Addr().String()
	ctx, stop := context.WithTimeout(context.Background(), 120*time.Millisecond)
	defer stop()
	if _, err := bind(ctx, addr); err == nil {
		t.Fatal("bound what is taken")
	}
	go func() { <-ctx.Done(); old.Close() }()
	l, err := bind(context.Background(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := portTaken(second(addr), addr); err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "--port-offset") {
		t.Errorf("told: %v", err)
	}
}

func second(addr string) error {
	_, err := net.Listen("tcp", addr)
	return err
}
