package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestDefaultFile holds the documented file equal to the defaults in the code.
func TestDefaultFile(t *testing.T) {
	got, err := LoadConfig(filepath.Join("..", "..", "configs", "hub.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("configs/hub.yaml says %+v\nthe code says %+v", got, want)
	}
}

func TestConfig_bad(t *testing.T) {
	for name, text := range map[string]string{"unknown key": "nope: 1", "port": "ports: {http: 70000}", "zone": "zone: Mars/Olympus", "validation": "fhir: {validation: maybe}", "listen": "listen: everywhere"} {
		p := filepath.Join(t.TempDir(), "hub.yaml")
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(p); err == nil {
			t.Errorf("%s: accepted %q", name, text)
		}
	}
}

// TestClusterFile holds the cluster example to the keys the code knows.
func TestClusterFile(t *testing.T) {
	cfg, err := LoadConfig(filepath.Join("..", "..", "configs", "hub-cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Kafka.Brokers) == 0 || cfg.ClickHouse.Address == "" || cfg.S3.Endpoint == "" || cfg.loopback() {
		t.Errorf("the cluster example leaves a part embedded: %+v", cfg)
	}
}
