package subscribe

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// errNobody says that no WebSocket is bound: the event waits for one.
var errNobody = errors.New("no socket is bound")

// sockets are the connections of this node by subscription.
type sockets struct {
	mu    sync.Mutex
	bound map[string]map[*socket]bool
}

// socket is one connection. Writes go through the queue, so a slow client
// stops nobody else.
type socket struct {
	queue   chan []byte
	stop    context.CancelFunc
	classic bool // bound by id: gets "ping id"
}

// queued is how many messages may wait for a slow client before it is dropped.
const queued = 256

func newSockets() *sockets { return &sockets{bound: map[string]map[*socket]bool{}} }

func (k *sockets) count(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.bound[id])
}

func (k *sockets) bind(id string, c *socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bound[id] == nil {
		k.bound[id] = map[*socket]bool{}
	}
	k.bound[id][c] = true
}

func (k *sockets) drop(c *socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, set := range k.bound {
		if delete(set, c); len(set) == 0 {
			delete(k.bound, id)
		}
	}
}

// send gives a message to every connection of a subscription; errNobody if
// there is none.
func (k *sockets) send(id string, body []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	sent := false
	for c := range k.bound[id] {
		text := body
		if c.classic {
			text = []byte("ping " + id)
		}
		sent = c.push(text) || sent
	}
	if !sent {
		return errNobody
	}
	return nil
}

// close ends every connection.
func (k *sockets) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, set := range k.bound {
		for c := range set {
			c.stop()
		}
	}
}

// push queues a message; a client that does not read is disconnected.
func (c *socket) push(text []byte) bool {
	select {
	case c.queue <- text:
		return true
	default:
		c.stop()
		return false
	}
}

func (s *Service) sendSocket(ctx context.Context, sub *subscription, n *notification) error {
	if s.sockets.count(sub.ID) == 0 {
		return errNobody
	}
	body, err := s.bundle(ctx, sub, n)
	if err != nil {
		return err
	}
	return s.sockets.send(sub.ID, body)
}

// ServeHTTP is the WebSocket door. A client sends "bind-with-token TOKEN" (or
// {"type":"bind-with-token","payload":{"token":…}}) and gets a handshake for
// each subscription, then its notifications; or, as in R4, "bind ID", answered
// "bound ID", then "ping ID" for every event.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(16 << 10)
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	c := &socket{queue: make(chan []byte, queued), stop: stop}
	defer s.sockets.drop(c)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { defer stop(); write(ctx, conn, c.queue) })
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if err := s.heard(ctx, c, string(text)); err != nil {
			_ = conn.Close(websocket.StatusPolicyViolation, clip(reason(err)))
			return
		}
	}
}

// clip keeps a close reason within what the protocol allows.
func clip(s string) string {
	for len(s) > 120 {
		r := []rune(s)
		s = string(r[:len(r)-1])
	}
	return s
}

// write sends what is queued, and a ping now and then so that dead connections
// are found.
func write(ctx context.Context, conn *websocket.Conn, queue <-chan []byte) {
	ping := time.NewTicker(30 * time.Second)
	defer ping.Stop()
	for {
		var err error
		limit, cancel := context.WithTimeout(ctx, 20*time.Second)
		select {
		case text := <-queue:
			err = conn.Write(limit, websocket.MessageText, text)
		case <-ping.C:
			err = conn.Ping(limit)
		case <-ctx.Done():
			err = ctx.Err()
		}
		cancel()
		if err != nil {
			return
		}
	}
}

// heard acts on what a client says.
func (s *Service) heard(ctx context.Context, c *socket, text string) error {
	text = strings.TrimSpace(text)
	var form struct {
		Type    string
		Payload struct{ Token string }
	}
	if json.Unmarshal([]byte(text), &form) == nil && form.Type != "" {
		text = form.Type + " " + form.Payload.Token
	}
	verb, arg, _ := strings.Cut(text, " ")
	arg = strings.TrimSpace(arg)
	switch strings.TrimSuffix(verb, ":") {
	case "ping":
		c.push([]byte("pong"))
		return nil
	case "bind-with-token":
		ids, err := s.openToken(arg)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.bindSocket(ctx, c, id, true); err != nil {
				return err
			}
		}
		return nil
	case "bind":
		c.classic = true
		return s.bindSocket(ctx, c, arg, false)
	}
	return fault.New(fault.Invalid, "只认识 bind-with-token 与 bind")
}

// bindSocket binds a connection to a subscription and greets it.
func (s *Service) bindSocket(ctx context.Context, c *socket, id string, full bool) error {
	sub, err := s.get(id)
	if err != nil {
		return err
	}
	if sub.def == nil || sub.def.Channel != webSocket || sub.Status == Off {
		return fault.New(fault.Invalid, "订阅 %s 的通道不是 websocket，或已停用", id)
	}
	hello := []byte("bound " + id)
	if full {
		if hello, err = s.bundle(ctx, &sub, &notification{kind: "handshake"}); err != nil {
			return err
		}
	}
	c.push(hello)
	s.sockets.bind(id, c)
	return s.Retry(id) // what waited goes out now
}

// token makes a binding token for subscriptions: when it ends, which ones, and
// a signature over both.
func (s *Service) token(ids []string, end time.Time) string {
	text := strconv.FormatInt(end.Unix(), 36) + "." + strings.Join(ids, ",")
	return base64.RawURLEncoding.EncodeToString(append([]byte(text+"."), s.sign(text)...))
}

func (s *Service) sign(text string) []byte {
	m := hmac.New(sha256.New, s.parts.Key)
	m.Write([]byte("subscription " + text))
	return m.Sum(nil)
}

// openToken returns the subscriptions of a token; fault.Unauthorized.
func (s *Service) openToken(token string) ([]string, error) {
	wrong := fault.New(fault.Unauthorized, "绑定令牌无效或已过期，请重新取一个")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < sha256.Size+1 {
		return nil, wrong
	}
	text, mac := raw[:len(raw)-sha256.Size-1], raw[len(raw)-sha256.Size:]
	if !hmac.Equal(mac, s.sign(string(text))) {
		return nil, wrong
	}
	stamp, ids, _ := strings.Cut(string(text), ".")
	end, err := strconv.ParseInt(stamp, 36, 64)
	if err != nil || s.parts.Clock.Now().Unix() > end {
		return nil, wrong
	}
	return strings.Split(ids, ","), nil
}
