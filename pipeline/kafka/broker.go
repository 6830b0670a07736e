package kafka

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
)

// broker is the embedded Kafka: one process, one node, every produce fsynced.
type broker struct{ cluster *kfake.Cluster }

func startBroker(cfg Config, logger *slog.Logger) (*broker, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	addr := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("qihuang-embedded"),
		kfake.DataDir(cfg.Dir),
		kfake.SyncWrites(),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, addr) }),
		kfake.WithLogger(kfakeLogger{logger}),
		kfake.BrokerConfigs(map[string]string{
			"message.max.bytes":         strconv.Itoa(cfg.MaxMessage + 4096),
			"offsets.retention.minutes": strconv.Itoa(365 * 24 * 60), // a hub may rest for a while
		}),
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("embedded kafka on %s with data in %s: %w", addr, cfg.Dir, err)
	}
	return &broker{c}, nil
}

func (b *broker) addrs() []string { return b.cluster.ListenAddrs() }
func (b *broker) close()          { b.cluster.Close() }

// kfakeLogger passes on the broker's warnings and errors.
type kfakeLogger struct{ log *slog.Logger }

func (l kfakeLogger) Logf(level kfake.LogLevel, msg string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded kafka", "message", fmt.Sprintf(msg, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded kafka", "message", fmt.Sprintf(msg, args...))
	}
}
