package bulk

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// DownloadConfig says what a Downloader fetches.
type DownloadConfig struct {
	Base  string // FHIR base URL
	Path  string // "", "Patient" or "Group/id"
	Token string // bearer token; "" = none
	Query string // export parameters: _type, _since, …
	Dir   string // folder for the files
	Poll  time.Duration
}

// Downloaded is a file fetched, or found from an earlier run.
type Downloaded struct {
	Type  string `json:"type"`
	Path  string `json:"path"`
	Count int    `json:"count"`
	Bytes int64  `json:"bytes"`
}

// Download runs an export on a server and fetches its files. The address of the
// export is kept in Dir/export.url until all is there: the same call after an
// interruption goes on with it and fetches only what is missing. progress, if
// not nil, gets the server's words and each file.
func Download(ctx context.Context, cfg DownloadConfig, client *http.Client, progress func(string)) ([]Downloaded, error) {
	if progress == nil {
		progress = func(string) {}
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fault.New(fault.Unavailable, "create folder: %w", err)
	}
	d := &downloader{cfg: cfg, client: client, progress: progress, mark: filepath.Join(cfg.Dir, "export.url")}
	at, err := d.start(ctx)
	if err != nil {
		return nil, err
	}
	m, err := d.wait(ctx, at)
	if err != nil {
		return nil, err
	}
	var out []Downloaded
	for _, o := range append(m.Output, m.Deleted...) {
		f, err := d.fetch(ctx, o)
		if err != nil {
			return out, err
		}
		progress(f.Path)
		out = append(out, f)
	}
	return out, os.Remove(d.mark)
}

type downloader struct {
	cfg      DownloadConfig
	client   *http.Client
	progress func(string)
	mark     string
}

// start begins the export, or takes up the one an earlier run began.
func (d *downloader) start(ctx context.Context) (string, error) {
	if at, err := os.ReadFile(d.mark); err == nil {
		if resp, err := d.get(ctx, string(at)); err == nil {
			resp.Body.Close()
			if resp.StatusCode < 300 {
				return string(at), nil
			}
		}
	}
	u := strings.TrimSuffix(d.cfg.Base, "/")
	if d.cfg.Path != "" {
		u += "/" + d.cfg.Path
	}
	u += "/$export"
	if d.cfg.Query != "" {
		u += "?" + d.cfg.Query
	}
	resp, err := d.get(ctx, u)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	at := resp.Header.Get("Content-Location")
	if resp.StatusCode != http.StatusAccepted || at == "" {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return "", fault.New(fault.Invalid, "%s: %s %s", u, resp.Status, text)
	}
	return at, os.WriteFile(d.mark, []byte(at), 0o644)
}

func (d *downloader) get(ctx context.Context, u string) (*http.Response, error) {
	if _, err := url.Parse(u); err != nil {
		return nil, fault.New(fault.Invalid, "bad address: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "bad address: %w", err)
	}
	req.Header.Set("Accept", "application/fhir+json")
	req.Header.Set("Prefer", "respond-async")
	if d.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+d.cfg.Token)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "get: %w", err)
	}
	return resp, nil
}

// wait polls until the export is done.
func (d *downloader) wait(ctx context.Context, at string) (*manifest, error) {
	for {
		resp, err := d.get(ctx, at)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			return nil, fault.New(fault.Unavailable, "get: %w", err)
		case resp.StatusCode == http.StatusOK:
			m := &manifest{}
			if err := json.Unmarshal(body, m); err != nil {
				return nil, fault.New(fault.Invalid, "the answer is no manifest: %w", err)
			}
			return m, nil
		case resp.StatusCode != http.StatusAccepted:
			return nil, fault.New(fault.Unavailable, "%s: %s %.500s", at, resp.Status, body)
		}
		d.progress(resp.Header.Get("X-Progress"))
		select {
		case <-time.After(d.cfg.Poll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fetch downloads one file; it has its final name only when it is whole.
func (d *downloader) fetch(ctx context.Context, o output) (Downloaded, error) {
	name := filepath.Base(o.URL)
	out := Downloaded{Type: o.Type, Path: filepath.Join(d.cfg.Dir, name), Count: o.Count}
	if st, err := os.Stat(out.Path); err == nil {
		out.Bytes = st.Size()
		return out, nil
	}
	resp, err := d.get(ctx, o.URL)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, fault.New(fault.Unavailable, "%s: %s", o.URL, resp.Status)
	}
	f, err := os.CreateTemp(d.cfg.Dir, name+".part*")
	if err != nil {
		return out, fault.New(fault.Unavailable, "create file: %w", err)
	}
	out.Bytes, err = io.Copy(f, resp.Body)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), out.Path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return out, fault.New(fault.Unavailable, "fetch %s: %w", name, err)
	}
	return out, nil
}
