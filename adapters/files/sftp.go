package files

import (
	"context"
	"errors"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func itoa(n int) string { return strconv.Itoa(n) }

const dialLimit = 20 * time.Second

// remote is a folder on an SFTP server, with one connection per round.
type remote struct {
	dir    string
	stall  time.Duration
	conn   *ssh.Client
	client *sftp.Client
	unhook func() bool // of the context
}

// dialSFTP connects; a host key other than the pinned one is refused.
func dialSFTP(ctx context.Context, c SFTP) (*remote, error) {
	cfg := &ssh.ClientConfig{User: c.User, Timeout: dialLimit, HostKeyCallback: pinned(c.HostKey)}
	if c.KeyFile != "" {
		pem, err := os.ReadFile(c.KeyFile)
		if err != nil {
			return nil, fault.New(fault.Invalid, "读不到 sftp 私钥：%w", err)
		}
		signer, err := ssh.ParsePrivateKey(pem)
		if err != nil {
			return nil, fault.New(fault.Invalid, "sftp 私钥无法使用：%w", err)
		}
		cfg.Auth = append(cfg.Auth, ssh.PublicKeys(signer))
	}
	if c.Password != "" {
		cfg.Auth = append(cfg.Auth, ssh.Password(c.Password))
	}
	tcp, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "连不上 sftp 服务器：%w", err)
	}
	_ = tcp.SetDeadline(time.Now().Add(dialLimit)) // of the handshake
	link, chans, reqs, err := ssh.NewClientConn(tcp, c.Address, cfg)
	if err != nil {
		_ = tcp.Close()
		var refused *fault.Error // ours, of the host key
		if errors.As(err, &refused) {
			return nil, refused
		}
		return nil, fault.New(fault.Unavailable, "sftp 握手失败，请核对 user 与 password 或 keyFile：%w", err)
	}
	_ = tcp.SetDeadline(time.Time{})
	r := &remote{dir: c.Folder, stall: c.Stall, conn: ssh.NewClient(link, chans, reqs)}
	r.unhook = context.AfterFunc(ctx, r.cut)
	defer r.limited()()
	if r.client, err = sftp.NewClient(r.conn); err != nil {
		r.unhook()
		return nil, errors.Join(fault.New(fault.Unavailable, "sftp 不可用：%w", err), r.conn.Close())
	}
	return r, nil
}

// cut ends the connection, and with it every request under way.
func (r *remote) cut() { _ = r.conn.Close() }

// limited cuts the connection unless the function it returns is called in time:
// the library has no contexts, and a server that hangs answers never.
func (r *remote) limited() (done func() bool) { return time.AfterFunc(r.stall, r.cut).Stop }

// pinned accepts the host key of the configuration only.
func pinned(want string) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, key ssh.PublicKey) error {
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		if print := ssh.FingerprintSHA256(key); want == print || strings.HasPrefix(strings.TrimSpace(want)+" ", line+" ") {
			return nil
		}
		return fault.New(fault.Forbidden, "服务器公钥 %s 与配置的 hostKey 不符：请向对方核实，确是换了密钥再改 hostKey", ssh.FingerprintSHA256(key))
	}
}

func (r *remote) list(context.Context) ([]entry, error) {
	defer r.limited()()
	infos, err := r.client.ReadDir(r.dir)
	if err != nil {
		return nil, err
	}
	var out []entry
	for _, i := range infos {
		if i.Mode().IsRegular() {
			out = append(out, entry{i.Name(), i.Size(), i.ModTime()})
		}
	}
	return out, nil
}

func (r *remote) open(_ context.Context, name string) (file, error) {
	opened := r.limited()
	f, err := r.client.Open(path.Join(r.dir, name))
	opened()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return newSpool(f, r.stall, r.cut)
}

func (r *remote) has(_ context.Context, folder, name string) (bool, error) {
	defer r.limited()()
	_, err := r.client.Lstat(path.Join(r.dir, folder, name))
	return found(err)
}

func (r *remote) move(_ context.Context, name, folder, as string) error {
	defer r.limited()()
	to := path.Join(r.dir, folder)
	if err := r.client.MkdirAll(to); err != nil {
		return err
	}
	return r.client.Rename(path.Join(r.dir, name), path.Join(to, as))
}

func (r *remote) write(_ context.Context, folder, name string, data []byte) error {
	defer r.limited()()
	to := path.Join(r.dir, folder)
	if err := r.client.MkdirAll(to); err != nil {
		return err
	}
	f, err := r.client.Create(path.Join(to, name))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (r *remote) close() error {
	r.unhook()
	defer r.limited()()
	return errors.Join(r.client.Close(), r.conn.Close())
}
