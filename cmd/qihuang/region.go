package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/region"
	"github.com/qihuang-health/qihuang/adapters/region/feed"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// exchangeLimit bounds one request to another platform.
const exchangeLimit = 2 * time.Minute

// mountRegion makes the exchange with other platforms and its doors.
func (h *hub) mountRegion(r gin.IRouter) error {
	cfg := h.cfg.Region
	signer, err := h.signer(cfg)
	if err != nil {
		return err
	}
	peers := make([]feed.Peer, len(cfg.Peers))
	for i, p := range cfg.Peers {
		v, err := feed.NewVerifier([]byte(p.PublicKey))
		if err != nil {
			return err
		}
		peers[i] = feed.Peer{Name: p.Name, Base: p.Base, Token: p.Token, Verifier: v}
	}
	client := h.outbound.HTTP(exchangeLimit)
	st := h.sinkStore("region")
	exchange := feed.NewExchange(feed.NewSource(cfg.Name, cfg.Types, signer, h.store), feed.NewTaker(st, h.clock), client, h.log, peers)
	exchange.Local = h.cfg.loopback()
	exchange.Mount(r)
	region.New(cfg, region.Parts{Store: st, Search: h.search, Clock: h.clock, Log: h.log, Client: client, Zone: h.zone}).Mount(r)
	region.Push{Inbound: h.desk, IDs: pipeline.NewIDs(h.clock), Clock: h.clock}.Mount(r)
	h.inbound.Handle(region.Kind, region.NewSink(st, h.zone))
	h.desk.Register("region", "http", "/ingest/region、/services/region", source.DefaultRules())
	h.sources = append(h.sources, func(ctx context.Context) error {
		return region.Schedule(ctx, cfg, h.zone, exchange, func(act string, r feed.Result, err error) {
			if err != nil {
				h.log.WarnContext(ctx, "exchange with a platform", "act", act, "peer", r.Peer, "fault", fault.KindOf(err).String(), "error", err)
				return
			}
			h.log.InfoContext(ctx, "exchange with a platform", "act", act, "peer", r.Peer, "entries", r.Entries, "next", r.Next)
		})
	})
	return nil
}

// signer reads the feed's key, or makes one at the first start.
func (h *hub) signer(cfg region.Config) (*feed.Signer, error) {
	file := cfg.Key
	if file == "" {
		file = h.dir("region.key")
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && cfg.Key == "" {
		if text, err = feed.NewKey(cfg.Algorithm); err != nil {
			return nil, err
		}
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "读不到签名私钥（region.key）：%w", err)
	}
	return feed.NewSigner(text)
}
