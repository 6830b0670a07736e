package main

import (
	"context"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir/subscribe"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// subscriptionGroup is the consumer group that elects the node which delivers
// to endpoints.
const subscriptionGroup = "qihuang-subscriptions"

// openSubscriptions opens the subscriptions; the repository must be open.
func (h *hub) openSubscriptions(context.Context) error {
	cfg := subscribe.Default(h.dir("subscriptions"))
	cfg.Base = h.fhirBase()
	if h.cfg.PublicBase != "" {
		cfg.Socket = "ws" + strings.TrimPrefix(strings.TrimSuffix(cfg.Base, "/fhir"), "http") + subscribe.SocketPath
	}
	key, err := h.secret("subscription.key")
	if err != nil {
		return err
	}
	h.subscriptions, err = subscribe.Open(cfg, subscribe.Parts{Store: h.store, Feed: h.store, Search: h.search, Paths: h.paths, Outbound: h.outbound,
		XML: func(b []byte) ([]byte, error) { return xml.FromJSON(h.model, b) }, Key: key, Clock: h.clock, Log: h.log.With("part", "subscriptions"),
		NewID: func() string { return uuid.Must(uuid.NewV7()).String() }})
	if err != nil {
		return err
	}
	h.onClose(h.subscriptions.Close)
	return nil
}

// fhirBase is the FHIR address told to others who did not come by HTTP.
func (h *hub) fhirBase() string {
	if h.cfg.PublicBase != "" {
		return strings.TrimSuffix(h.cfg.PublicBase, "/")
	}
	return "http://" + h.cfg.addr(h.cfg.Ports.HTTP) + "/fhir"
}

// deliver sends notifications while this node holds the first partition of the
// changes: one node at a time does.
func (h *hub) deliver(ctx context.Context) error {
	return h.kafka.Consume(ctx, subscriptionGroup, kafka.Changes, func(ctx context.Context, claim *kafka.Claim) error {
		if claim.Partition == 0 {
			return h.subscriptions.Deliver(ctx)
		}
		<-ctx.Done()
		return nil
	})
}

// mountSubscriptions adds the WebSocket door.
func (h *hub) mountSubscriptions(r gin.IRouter) {
	r.GET(subscribe.SocketPath, gin.WrapH(h.subscriptions))
}
