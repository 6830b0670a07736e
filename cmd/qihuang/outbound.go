package main

import "github.com/qihuang-health/qihuang/internal/outbound"

// outbound makes the client by which the hub calls others. A hub that only this
// machine reaches may call this machine where nothing is configured.
func (c Config) outbound() (*outbound.Client, error) {
	cfg := c.Outbound
	if len(cfg.Allow) == 0 && c.loopback() {
		cfg = outbound.Local()
	}
	return outbound.New(cfg)
}
