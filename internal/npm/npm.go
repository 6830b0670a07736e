// Package npm fetches pinned npm packages into the user's cache folder. It is
// for generators and tests: the hub itself needs no npm.
package npm

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Package is an npm package pinned by version and digest.
type Package struct {
	Name    string
	Version string
	SHA512  string // base64, as in npm's dist.integrity after "sha512-"
}

// maxUnpacked bounds one unpacked file.
const maxUnpacked = 512 << 20

// Cached returns the folder of the unpacked package ("…/package") in the cache;
// ok is false if it was not fetched before.
func (p Package) Cached() (dir string, ok bool) {
	dir, err := p.dir()
	if err != nil {
		return "", false
	}
	st, err := os.Stat(filepath.Join(dir, "package"))
	return filepath.Join(dir, "package"), err == nil && st.IsDir()
}

// Fetch returns the folder of the unpacked package, running `npm pack` if it is
// not in the cache. A digest that does not match is an error.
func (p Package) Fetch(ctx context.Context) (dir string, err error) {
	if dir, ok := p.Cached(); ok {
		return dir, nil
	}
	final, err := p.dir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(final), ".fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", p.Name+"@"+p.Version)
	cmd.Dir = tmp
	out, err := cmd.Output()
	if err != nil {
		return "", fault.New(fault.Unavailable, "npm pack %s@%s: %w", p.Name, p.Version, err)
	}
	tgz := filepath.Join(tmp, filepath.Base(strings.TrimSpace(string(out))))
	if err := p.verify(tgz); err != nil {
		return "", err
	}
	unpacked := filepath.Join(tmp, "unpacked")
	if err := untar(tgz, unpacked); err != nil {
		return "", fault.New(fault.Internal, "unpack %s: %w", p.Name, err)
	}
	if err := os.Rename(unpacked, final); err != nil {
		return "", err
	}
	return filepath.Join(final, "package"), nil
}

func (p Package) dir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := strings.NewReplacer("/", "-", "@", "").Replace(p.Name)
	return filepath.Join(base, "qihuang", "npm", name+"-"+p.Version), nil
}

func (p Package) verify(tgz string) error {
	f, err := os.Open(tgz)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != p.SHA512 {
		return fault.New(fault.Invalid, "%s@%s: digest sha512-%s is not the pinned one", p.Name, p.Version, got)
	}
	return nil
}

// untar unpacks regular files of a gzipped tar below dir.
func untar(tgz, dir string) error {
	f, err := os.Open(tgz)
	if err != nil {
		return err
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := extract(root, h.Name, tr); err != nil {
			return err
		}
	}
}

func extract(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := root.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, io.LimitReader(r, maxUnpacked)); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
