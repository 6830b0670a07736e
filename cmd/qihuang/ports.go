package main

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// lingering is how long a killed hub, or its engine, may still hold ports and
// the data folder: the system takes a moment to end a process.
const lingering = 5 * time.Second

// soon calls try until it succeeds, fails for another reason than taken, or
// lingering is over; the last error is returned.
func soon(ctx context.Context, taken error, try func() error) error {
	for end := time.Now().Add(lingering); ; {
		err := try()
		if err == nil || !errors.Is(err, taken) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// bind listens on addr as soon as nobody else does.
func bind(ctx context.Context, addr string) (l net.Listener, err error) {
	err = soon(ctx, syscall.EADDRINUSE, func() error { l, err = net.Listen("tcp", addr); return err })
	return l, portTaken(err, addr)
}

// free waits until nobody listens on addr, for parts that listen themselves.
func free(ctx context.Context, addr string) error {
	l, err := bind(ctx, addr)
	if err != nil {
		return err
	}
	return l.Close()
}

// openPorts waits for the ports of the embedded parts.
func (h *hub) openPorts(ctx context.Context) error {
	ports := []int{h.cfg.Ports.MLLP}
	if len(h.cfg.Kafka.Brokers) == 0 {
		ports = append(ports, h.cfg.Ports.Kafka)
	}
	if h.cfg.S3.Endpoint == "" {
		ports = append(ports, h.cfg.Ports.S3)
	}
	for _, p := range ports {
		if err := free(ctx, h.cfg.addr(p)); err != nil {
			return err
		}
	}
	return nil
}

// portTaken explains an address that another program listens on.
func portTaken(err error, addr string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.New(fault.Unavailable, "端口 %s 已被占用；用 --port-offset 平移，或停止占用它的程序：%w", addr, err)
	}
	return err
}
