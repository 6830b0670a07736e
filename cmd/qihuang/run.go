package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"
)

// run starts every part that works on its own; each ends when ctx does.
func (h *hub) run(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { return h.store.Run(ctx) })
}

// ready reports whether every view has caught up with the log as it stood at
// the start.
func (h *hub) ready() bool { return h.store.Ready() }

// mountDoors adds the doors of partners and people.
func (h *hub) mountDoors(gin.IRouter) error { return nil }

// demo loads a small province on the first start and then keeps a trickle of
// visits going.
func (h *hub) demo(context.Context, io.Writer) error { return nil }

// secret returns 32 random bytes kept in the data folder.
func (h *hub) secret(name string) ([]byte, error) {
	b, err := os.ReadFile(h.dir(name))
	if err == nil && len(b) >= 32 {
		return b, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b = make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	return b, os.WriteFile(h.dir(name), b, 0o600)
}
