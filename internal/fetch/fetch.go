// Package fetch gets the hub's large parts from the npm registry with the npm
// client, checks them against hashes pinned here, and keeps them in the user's
// cache so that every clone on a machine shares one copy.
package fetch

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Package is one npm package version, pinned by the hash of its tarball.
type Package struct {
	Name      string
	Version   string
	Integrity string // subresource integrity as npm publishes it: "sha512-<base64>"
	Size      int64  // bytes of the tarball, for progress only
}

// Progress hears how far a step is; total is 0 when unknown. It is called from
// one goroutine at a time.
type Progress func(step string, done, total int64)

// Unpack fetches p, checks its hash and writes the named files (paths inside
// the package, without the leading "package/") into dir under their base
// names. Nothing is left in dir unless every file arrived whole. fault.Unavailable when
// npm or the registry is away, fault.Invalid when the hash differs.
func Unpack(ctx context.Context, p Package, dir string, files []string, report Progress) error {
	if report == nil {
		report = func(string, int64, int64) {}
	}
	dir, err := filepath.Abs(dir) // npm runs in another folder
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, ".fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	tarball, err := download(ctx, p, work, report)
	if err != nil {
		return err
	}
	out := filepath.Join(work, "out")
	if err := extract(p, tarball, out, files, report); err != nil {
		return err
	}
	for _, name := range files {
		base := path.Base(name)
		if err := os.Rename(filepath.Join(out, base), filepath.Join(dir, base)); err != nil {
			return err
		}
	}
	return nil
}

// download lets npm fetch the tarball into work and reports the bytes that
// have reached the disk, since npm itself shows none.
func download(ctx context.Context, p Package, work string, report Progress) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fault.New(fault.Unavailable, "需要 npm 才能下载 %s：请先安装 Node.js", p.Name)
	}
	cache := filepath.Join(work, "cache")
	cmd := exec.CommandContext(ctx, npm, "pack", p.Name+"@"+p.Version, "--silent", "--cache", cache, "--pack-destination", work)
	cmd.Dir = work
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return "", fault.New(fault.Unavailable, "start npm: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			report("下载 "+p.Name, min(size(cache), p.Size), p.Size)
			continue
		case err = <-done:
		}
		break
	}
	if err != nil {
		return "", fault.New(fault.Unavailable, "npm pack %s@%s (%s): %w", p.Name, p.Version, strings.TrimSpace(said.String()), err)
	}
	found, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fault.New(fault.Unavailable, "npm pack %s@%s left no tarball", p.Name, p.Version)
	}
	report("下载 "+p.Name, p.Size, p.Size)
	return found[0], nil
}

// size returns the bytes of all files below dir; files that vanish count 0.
func size(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// extract writes the wanted files to out and fails unless the whole tarball
// has p's hash and held them all.
func extract(p Package, tarball, out string, files []string, report Progress) error {
	f, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	sum := sha512.New()
	in := &counted{r: io.TeeReader(f, sum), report: func(n int64) { report("校验并解压 "+p.Name, min(n, p.Size), p.Size) }}
	if err := untar(in, out, files); err != nil {
		return fault.New(fault.Invalid, "unpack %s@%s: %w", p.Name, p.Version, err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if got := integrity(sum); got != p.Integrity {
		return fault.New(fault.Invalid, "%s@%s 的完整性校验不符：应为 %s，实为 %s", p.Name, p.Version, p.Integrity, got)
	}
	return nil
}

// untar writes the wanted files below out under their base names, or all of them
// under their own when files is nil. No name leads out of out.
func untar(r io.Reader, out string, files []string) error {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	missing := make(map[string]bool, len(files))
	for _, name := range files {
		missing["package/"+name] = true
	}
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := h.Name
		if files != nil {
			if !missing[name] {
				continue
			}
			delete(missing, name)
			name = path.Base(name)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := write(root, name, tr, files != nil); err != nil {
			return err
		}
	}
	for name := range missing {
		return fmt.Errorf("no file %s in the package", name)
	}
	return nil
}

// write makes one file; a durable one is on disk before it is renamed into use.
func write(root *os.Root, name string, r io.Reader, durable bool) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil && durable {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func integrity(sum hash.Hash) string {
	return "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// counted reports the bytes read, about every 4 MiB.
type counted struct {
	r      io.Reader
	n, at  int64
	report func(int64)
}

// Read reads and counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.n-c.at >= 4<<20 || err == io.EOF && c.n != c.at {
		c.at = c.n
		c.report(c.n)
	}
	return n, err
}
