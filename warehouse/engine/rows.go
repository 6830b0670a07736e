package engine

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"
)

// held is how much of a result waits before the status leaves: an error within
// it still gets a proper status, as with a server's own buffer.
const held = 1 << 20

// outcome is how a statement ended.
type outcome struct {
	stats stats
	took  time.Duration
	err   error
}

// rows runs a statement that gives rows and sends them as they come. When the
// client goes, a reading statement is killed.
func (s *server) rows(ctx context.Context, q *request, stmt *statement, c *connection, out *response) error {
	killable(stmt)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	over, ended := make(chan struct{}), make(chan outcome, 1)
	go func() {
		begun := time.Now()
		spool := spool{file: w}
		st, err := c.exec(stmt.output(spool.path()), q.format, q.params, nil)
		_ = w.Close()
		close(over)
		ended <- outcome{st, time.Since(begun), err}
	}()
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		if stmt.reads {
			s.engine.kill(q.id, over)
		}
	})
	err = s.send(ctx, q, stmt, r, ended, out)
	if err != nil && stmt.reads {
		go s.engine.kill(q.id, over)
	}
	_, _ = io.Copy(io.Discard, r) // the engine must not wait for a reader
	<-over
	if !stop() {
		<-killed
	}
	return err
}

// send passes the result on, holding the first part back until it is clear
// that the statement works.
func (s *server) send(ctx context.Context, q *request, stmt *statement, r *os.File, ended <-chan outcome, out *response) error {
	stopWatch := s.watchProgress(ctx, q, out)
	head, err := io.ReadAll(io.LimitReader(r, held))
	if err != nil {
		stopWatch()
		return err
	}
	var rest io.Reader = r
	if q.wait && len(head) == held {
		all, err := newSpool(io.MultiReader(bytes.NewReader(head), r), s.cfg.temp(), s.cfg.Result)
		if err != nil {
			stopWatch()
			return err
		}
		defer all.close()
		if _, err := all.file.Seek(0, io.SeekStart); err != nil {
			stopWatch()
			return err
		}
		head, rest = nil, all.file
	}
	stopWatch()
	format := first(stmt.format, q.format)
	if q.wait || len(head) < held {
		end := <-ended
		if end.err != nil {
			return end.err
		}
		out.summary(end.stats, end.took)
	}
	if err := begin(out, format, head, rest); err != nil {
		return err
	}
	if !q.wait && len(head) == held {
		if end := <-ended; end.err != nil {
			return end.err
		}
	}
	return out.finish()
}

// begin starts the answer and writes head and rest.
func begin(out *response, format string, head []byte, rest io.Reader) error {
	if err := out.begin(format); err != nil {
		return err
	}
	if _, err := out.out.Write(head); err != nil {
		return errGone
	}
	// Only Write: some encoders lose what was written before a ReadFrom.
	if _, err := io.Copy(struct{ io.Writer }{out.out}, rest); err != nil {
		return errGone
	}
	return nil
}

// watchProgress collects progress headers until the returned func is called.
func (s *server) watchProgress(ctx context.Context, q *request, out *response) func() {
	if !q.progress {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.engine.watch(ctx, q.id, out.progress)
	}()
	return func() { cancel(); <-done }
}
