package source

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// State is what one source remembers across restarts: watermarks, columns,
// cursors. Safe for concurrent use.
type State struct {
	file   string
	mu     sync.Mutex
	values map[string]string
}

// OpenState reads the state of a source in a folder; a missing one is empty.
func OpenState(dir, name string) (*State, error) {
	s := &State{file: filepath.Join(dir, strings.ReplaceAll(name, string(filepath.Separator), "_")+".json"), values: map[string]string{}}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s.values)
	}
	return s, err
}

// Get returns a value, "" if there is none.
func (s *State) Get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// Forget drops every value whose key begins so.
func (s *State) Forget(prefix string) error {
	s.mu.Lock()
	var keys []string
	for k := range s.values {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	s.mu.Unlock()
	for _, k := range keys {
		if err := s.Set(k, ""); err != nil {
			return err
		}
	}
	return nil
}

// Set keeps a value durably; "" forgets it.
func (s *State) Set(key, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values[key] == value {
		return nil
	}
	if value == "" {
		delete(s.values, key)
	} else {
		s.values[key] = value
	}
	return s.save()
}

// save writes the file whole; the caller holds mu.
func (s *State) save() error {
	b, err := json.MarshalIndent(s.values, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.file), ".state-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), s.file)
}
