package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/qihuang-health/qihuang/adapters/hl7v2/mllp"
	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/adapters/mapping/rows"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/patch"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store/backup"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/offer"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/fhir/subscribe"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/internal/blob"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/outbound"
	"github.com/qihuang-health/qihuang/pipeline/changes"
	"github.com/qihuang-health/qihuang/pipeline/deadletter"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/journal"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
	"github.com/qihuang-health/qihuang/pipeline/source"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/warehouse/engine"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/warehouse/sink"
)

// knowledge is what the FHIR engine knows: read-only after start.
type knowledge struct {
	model  *definitions.Model
	paths  *fhirpath.Engine
	terms  *terminology.Service
	search *search.Engine
}

// hub is every part of the running system, named once.
type hub struct {
	cfg   Config
	zone  *time.Location
	log   *slog.Logger
	clock clock.Clock

	outbound *outbound.Client // the only way to call others

	knowledge
	validator *validate.Validator
	documents documents

	parameters offer.Keeper

	kafka   *kafka.Cluster
	store   *pebble.Store
	letters *deadletter.Letters
	inbound *inbound.Queue
	desk    *source.Desk
	journal *journal.Journal
	states  map[string]*source.State      // of the configured sources
	sources []func(context.Context) error // of the configured sources, to run

	settlements []*settlement // 新农合/医保 centres; one without a centre if none is configured
	changes     *changes.Publisher
	mllp        *mllp.Listener
	maps        *mapping.Book
	tally       *mapping.Tally
	rows        *rows.Store

	refreshTerms func(context.Context) error // takes stored terminology in

	records *kafka.Log // the transactions

	subscriptions *subscribe.Service
	jobs          *jobs.Manager // asynchronous work of /fhir

	blobs     *blob.Store
	backup    *backup.Backup
	keeper    *housekeeper
	warehouse *database
	engine    *engine.Supervisor          // nil with a configured ClickHouse
	gateway   func(context.Context) error // the analysts' door; nil without users
	sink      *sink.Sink
	measures  *measures.Catalogue
	alerts    *alerts.Desk
	queries   *queryLog // nil without users

	closers []func() error // in the order of opening
}

// open makes the parts in the order they need each other. What was opened is
// closed again if a later one fails.
func open(ctx context.Context, cfg Config, log *slog.Logger) (h *hub, err error) {
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil { // the engine's files are named from the root
		return nil, err
	}
	h = &hub{cfg: cfg, log: log, clock: clock.System{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.zone, err = cfg.zone(); err != nil {
		return h, err
	}
	if h.outbound, err = cfg.outbound(); err != nil {
		return h, err
	}
	h.onClose(h.outbound.Close)
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"data folder", h.openData}, {"ports", h.openPorts}, {"kafka", h.openKafka}, {"FHIR definitions", h.openKnowledge}, {"object store", h.openBlobs},
		{"repository", h.openStore}, {"subscriptions", h.openSubscriptions}, {"inbound", h.openInbound}, {"warehouse", h.openWarehouse}, {"housekeeping", h.openHousekeeping},
	} {
		if err := step.run(ctx); err != nil {
			return h, fmt.Errorf("open %s: %w", step.name, err)
		}
	}
	return h, nil
}

func (h *hub) dir(name string) string { return filepath.Join(h.cfg.Data, name) }

func (h *hub) onClose(fn func() error) { h.closers = append(h.closers, fn) }

// close closes the parts in reverse order and returns every error.
func (h *hub) close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	h.closers = nil
	return errors.Join(errs...)
}

// openData makes the data folder and locks it: two hubs on one folder would
// write the same files.
func (h *hub) openData(ctx context.Context) error {
	if err := os.MkdirAll(h.cfg.Data, 0o750); err != nil {
		return fault.New(fault.Unavailable, "数据目录 %s 不能创建：%w", h.cfg.Data, err)
	}
	f, err := os.OpenFile(h.dir("lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return fault.New(fault.Unavailable, "数据目录 %s 不能写：%w", h.cfg.Data, err)
	}
	lock := func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err := soon(ctx, syscall.EWOULDBLOCK, lock); err != nil {
		f.Close()
		return fault.New(fault.Conflict, "数据目录 %s 正被另一个岐黄进程使用；请先停止它，或用 --data 指定别的目录", h.cfg.Data)
	}
	h.onClose(f.Close)
	return nil
}

func (h *hub) openKafka(ctx context.Context) (err error) {
	cfg := kafka.Default(h.dir("kafka"))
	cfg.Brokers, cfg.Prefix, cfg.InboundPartitions, cfg.Replication = h.cfg.Kafka.Brokers, h.cfg.Kafka.Prefix, h.cfg.Kafka.Partitions, h.cfg.Kafka.Replication
	cfg.Host, cfg.Port = h.cfg.Listen, h.cfg.Ports.Kafka+h.cfg.PortOffset
	if h.kafka, err = kafka.Open(ctx, cfg, h.log); err != nil {
		return portTaken(err, h.cfg.addr(h.cfg.Ports.Kafka))
	}
	h.onClose(h.kafka.Close)
	return nil
}

func (h *hub) openKnowledge(context.Context) (err error) {
	h.knowledge, err = loadKnowledge(h.zone)
	return err
}

func (h *hub) openStore(ctx context.Context) (err error) {
	if h.records, err = h.kafka.Log(ctx); err != nil {
		return err
	}
	cfg := pebble.Default(h.dir("fhir"))
	cfg.Config.Log, cfg.Indexer, cfg.Clock, cfg.Logger = h.records, h.search, h.clock, h.log
	cfg.Patcher, cfg.Extend = patch.New(h.paths), h.extend
	cfg.History = machine.Retention{Versions: h.cfg.FHIR.History.Versions, Age: time.Duration(h.cfg.FHIR.History.Days) * 24 * time.Hour}
	if h.store, err = pebble.Open(cfg); err != nil {
		return err
	}
	h.onClose(h.store.Close)
	return nil
}

// openInbound makes the way in and the way on: messages to the repository,
// refused ones to the dead letters, changes to the topic.
func (h *hub) openInbound(ctx context.Context) (err error) {
	if h.letters, err = deadletter.Open(ctx, deadletter.Default(h.dir("letters")), h.kafka, h.log); err != nil {
		return err
	}
	h.onClose(h.letters.Close)
	if h.inbound, err = inbound.Open(ctx, inbound.Default(h.dir("inbound")), h.kafka, h.letters, h.clock, h.log); err != nil {
		return err
	}
	h.onClose(h.inbound.Close)
	if err := h.openDesk(); err != nil {
		return err
	}
	h.changes, err = changes.New(ctx, h.kafka, h.store, h.log)
	return err
}
