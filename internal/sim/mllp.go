package sim

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// mllpSystem sends HL7 v2: ADT^A04 when the patient comes, RDE^O11 for each
// herbal prescription, DFT^P03 for the bill, ADT^A03 at the end. One connection
// for each hall.
type mllpSystem struct {
	*month
	mu     sync.Mutex
	lines  map[int]net.Conn
	serial atomic.Int64
}

func (s *mllpSystem) name() string { return "mllp" }

func (s *mllpSystem) visit(ctx context.Context, h int, v *visit, at time.Time) error {
	messages := []string{s.message(v, "ADT^A04^ADT_A01", at, "EVN||"+stamp(at))}
	for _, rx := range v.Herbal {
		segments := []string{"ORC|NW|" + rx.No + "|||||||" + stamp(at), fmt.Sprintf("RXE|^^^%s|%s^%s^L|%d||剂||||||%d", stamp(at), rx.No, escapeV2(rx.Formula), rx.Doses, rx.Doses)}
		for _, it := range rx.Items {
			segments = append(segments, fmt.Sprintf("RXC|B|%s^%s^L|%d|%s", it.Code, escapeV2(it.Name), it.Dose, it.Unit))
		}
		messages = append(messages, s.message(v, "RDE^O11^RDE_O11", at, segments...))
	}
	r := s.county.source('l', h, int(at.Unix()))
	messages = append(messages, s.message(v, "DFT^P03^DFT_P03", at, s.bill(v, at, r.Float64() < 4*s.cfg.Faults)...),
		s.message(v, "ADT^A03^ADT_A03", at, "EVN||"+stamp(at.Add(time.Hour))))
	cut := -1
	if r.Float64() < s.cfg.Faults {
		cut = r.IntN(len(messages))
	}
	for i, m := range messages {
		if err := s.insist(ctx, h, m, i == cut); err != nil {
			return err
		}
	}
	return nil
}

// bill is the visit's charges as FT1 segments: every line a charge, then what was
// paid, which is none. With slip the clerk has charged the first line twice and
// taken the second back.
func (s *mllpSystem) bill(v *visit, at time.Time, slip bool) (segments []string) {
	add := func(no, kind string, c line, amount yuan) {
		segments = append(segments, fmt.Sprintf("FT1|%d|%s||%s|%s|%s|%s^%s|||%d|%s&CNY", len(segments)+1, no, stamp(at), stamp(at), kind, escapeV2(c.Category), escapeV2(c.Name), c.Quantity, amount))
	}
	for _, c := range v.Charges {
		add(c.No, "CG", c, c.Amount)
	}
	if first := v.Charges[0]; slip {
		add(first.No+"X", "CG", first, first.Amount)
		add(first.No+"Y", "CD", first, first.Amount)
	}
	add("P"+v.VisitNo, "PY", line{Name: "现金", Category: "XJ", Quantity: 1}, total(v))
	return segments
}

func stamp(t time.Time) string { return t.Format("20060102150405") }

func escapeV2(s string) string {
	return strings.NewReplacer(`\`, `\E\`, "|", `\F\`, "^", `\S\`, "&", `\T\`, "~", `\R\`).Replace(s)
}

// message builds a v2.5.1 message in GB18030's name but UTF-8: MSH-18 says so.
func (s *mllpSystem) message(v *visit, kind string, at time.Time, segments ...string) string {
	p := v.Patient
	gender := map[string]string{"male": "M", "female": "F"}[p.Gender]
	head := []string{fmt.Sprintf("MSH|^~\\&|HIS|%s|HUB|COUNTY|%s||%s|S%d-%d|P|2.5.1||||||UNICODE UTF-8", v.OrgCode, stamp(at), kind, s.cfg.Seed, s.serial.Add(1))}
	if strings.HasPrefix(kind, "ADT") {
		head = append(head, segments...)
	}
	ids := p.ID + "^^^" + v.OrgCode + "^PI"
	if p.IDNo != "" {
		ids += "~" + p.IDNo + "^^^&2.16.156.10011.1.3&ISO^NI"
	}
	head = append(head, "PID|1||"+ids+"||"+escapeV2(p.Name)+"||"+strings.ReplaceAll(p.BirthDate, "-", "")+"|"+gender,
		"PV1|1|O|12^^^"+v.OrgCode+"||||"+v.Doctor.ID+"^"+escapeV2(v.Doctor.Name)+strings.Repeat("|", 12)+v.VisitNo+strings.Repeat("|", 25)+stamp(at))
	if !strings.HasPrefix(kind, "ADT") {
		head = append(head, segments...)
	}
	return strings.Join(head, "\r") + "\r"
}

// wrong sends a frame that is no HL7.
func (s *mllpSystem) wrong(ctx context.Context, h int, _ *visit) (bool, error) {
	for {
		code, err := s.send(ctx, h, "PID|1||坏消息\r")
		if err == nil {
			return code != "AA", nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return false, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// insist sends until the hub acknowledges; with cut the line drops in the middle
// the first time.
func (s *mllpSystem) insist(ctx context.Context, h int, message string, cut bool) error {
	deadline := time.Now().Add(s.cfg.Patience)
	for {
		if cut {
			cut = false
			s.half(ctx, h, message)
		}
		code, err := s.send(ctx, h, message)
		switch {
		case err == nil && code == "AA":
			return nil
		case err == nil && code != "AE":
			return fmt.Errorf("mllp：%s", code)
		case time.Now().After(deadline):
			return fmt.Errorf("mllp：%s %w", code, err)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *mllpSystem) line(ctx context.Context, h int) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.lines[h]; c != nil {
		return c, nil
	}
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", s.cfg.MLLP)
	if err != nil {
		return nil, err
	}
	if s.lines == nil {
		s.lines = map[int]net.Conn{}
	}
	s.lines[h] = c
	return c, nil
}

func (s *mllpSystem) drop(h int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.lines[h]; c != nil {
		_ = c.Close()
		delete(s.lines, h)
	}
}

// half sends the first half of a frame and hangs up.
func (s *mllpSystem) half(ctx context.Context, h int, message string) {
	if c, err := s.line(ctx, h); err == nil {
		_, _ = c.Write([]byte("\x0b" + message[:len(message)/2]))
	}
	s.drop(h)
}

// send sends one frame and returns MSA-1 of the answer.
func (s *mllpSystem) send(ctx context.Context, h int, message string) (string, error) {
	c, err := s.line(ctx, h)
	if err != nil {
		return "", err
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err = c.Write([]byte("\x0b" + message + "\x1c\r")); err == nil {
		var frame []byte
		if frame, err = bufio.NewReader(c).ReadBytes(0x1c); err == nil {
			for segment := range bytes.SplitSeq(frame, []byte("\r")) {
				if f := bytes.Split(segment, []byte("|")); len(f) > 1 && string(f[0]) == "MSA" {
					return string(f[1]), nil
				}
			}
			err = fmt.Errorf("应答没有 MSA")
		}
	}
	s.drop(h)
	return "", err
}

func (s *mllpSystem) close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, c := range s.lines {
		_ = c.Close()
		delete(s.lines, h)
	}
	return nil
}
