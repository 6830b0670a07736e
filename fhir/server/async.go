package server

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// asyncable reports whether an interaction honours Prefer: respond-async.
func asyncable(code string) bool {
	switch code {
	case "search-type", "search-system", "search-compartment", "operation", "transaction":
		return true
	}
	return false
}

// asyncPath is where asynchronous answers are fetched, below the base.
const asyncPath = "/_async/"

// startJob begins an interaction whose answer is fetched later
// (https://hl7.org/fhir/R4/async.html).
func (s *Server) startJob(r *Request, rt route) (*Reply, error) {
	req := *r
	req.Prefer.Async = false
	id, err := s.jobs.Start(rt.code, r.Actor, func(ctx context.Context, _ func(string)) (any, error) {
		rep, err := rt.run(s, ctx, &req)
		if err != nil {
			return entryReply{err: err}, nil // a refused interaction is an answer, not a failed job
		}
		defer rep.done()
		out := entryReply{rep: rep, body: rep.json()}
		if rep.Stream != nil {
			var buf appender
			if err := rep.Stream(&buf); err != nil {
				return nil, err
			}
			out.body = buf
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	return s.Accepted(r, id), nil
}

// Accepted is the answer that a job was started.
func (s *Server) Accepted(r *Request, id string) *Reply {
	o := outcome.Options{English: r.English, RequestID: r.ID}
	return &Reply{Status: http.StatusAccepted, Header: http.Header{"Content-Location": {r.Base + asyncPath + id}},
		Body: outcome.Info("已受理，请稍后在 Content-Location 取结果", "accepted: fetch the answer at Content-Location", o)}
}

// AsyncResult is the result of a job that is more than one answer, as that of an
// export: a manifest and files.
type AsyncResult interface {
	// Answer is the reply once the job is done; at is the job's own address.
	Answer(r *Request, at string) (*Reply, error)
	// File opens a file of the result, fault.NotFound if there is none.
	File(ctx context.Context, r *Request, name string) (*Reply, error)
}

// Jobs returns the manager of asynchronous work, for operations and the console.
func (s *Server) Jobs() *jobs.Manager { return s.jobs }

// job returns the job of a request's address. Of one that an earlier process
// began and that cannot go on, it says so: 410, for a client that asks again
// would ask forever.
func (s *Server) job(r *Request) (jobs.Status, error) {
	st, err := s.jobs.Get(r.Target.ID)
	if err == nil && st.Owner == r.Actor {
		return st, nil
	}
	if at, ok := drawnAt(r.Target.ID); err != nil && ok && at.Before(s.started) {
		return st, fault.New(fault.Gone, "the job ended with an earlier process").With(fault.Issue{Severity: "error", Code: "incomplete", Key: "job-lost",
			Text:   "服务在 " + s.started.Format(time.DateTime) + " 重启，此前的作业已中断或结果不再保留；请重新发起（写操作带上原来的 Idempotency-Key，不会重复生效）",
			TextEN: "the server was restarted at " + s.started.Format(time.DateTime) + ": jobs begun before were interrupted or their results are no longer kept; start it again (a write with its Idempotency-Key takes effect once)"})
	}
	return st, noJob("没有这个作业：结果只保留一段时间，取消后即删去", "no such job: results are kept for some time only, and go when they are cancelled")
}

// newJobID draws an id that tells when it was drawn and is not to be guessed:
// who knows the address of a job may ask for its answer.
func newJobID() string { return uuid.Must(uuid.NewV7()).String() }

// drawnAt is when the id of a job was drawn, from the time in a UUID version 7.
func drawnAt(id string) (time.Time, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	return time.Unix(u.Time().UnixTime()), true
}

func noJob(zh, en string) error {
	return fault.New(fault.NotFound, "no such job").With(fault.Issue{Severity: "error", Code: "not-found", Key: "job", Text: zh, TextEN: en})
}

// jobStatus answers 202 while a job runs and its answer when it is done, as a
// Bundle of type batch-response with one entry.
func (s *Server) jobStatus(_ context.Context, r *Request) (*Reply, error) {
	st, err := s.job(r)
	if err != nil {
		return nil, err
	}
	switch st.State {
	case jobs.Cancelled:
		return nil, noJob("作业已取消", "the job was cancelled")
	case jobs.Failed:
		return nil, st.Err
	case jobs.Waiting, jobs.Running:
		progress := st.Progress
		if progress == "" {
			progress = string(st.State)
		}
		return &Reply{Status: http.StatusAccepted, Header: http.Header{"X-Progress": {progress}, "Retry-After": {"1"}}}, nil
	}
	switch res := st.Result.(type) {
	case entryReply:
		w := bundle.New("batch-response", st.ID, st.Ended, -1)
		res.write(w, r)
		return ok(w.End()), nil
	case AsyncResult:
		return res.Answer(r, r.Base+asyncPath+st.ID)
	}
	return nil, fault.New(fault.Internal, "job %s has no answer", st.ID)
}

// jobFile answers with a file of a finished job.
func (s *Server) jobFile(ctx context.Context, r *Request) (*Reply, error) {
	st, err := s.job(r)
	if err != nil {
		return nil, err
	}
	res, ok := st.Result.(AsyncResult)
	if !ok {
		return nil, fault.New(fault.NotFound, "no such file")
	}
	return res.File(ctx, r, r.Name)
}

// discarder is an AsyncResult that keeps something to be removed with it.
type discarder interface {
	Discard(ctx context.Context) error
}

// jobCancel cancels a job or forgets its answer.
func (s *Server) jobCancel(ctx context.Context, r *Request) (*Reply, error) {
	st, err := s.job(r)
	if err == nil {
		err = s.jobs.Cancel(r.Target.ID)
	}
	if d, ok := st.Result.(discarder); ok && err == nil {
		err = d.Discard(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusAccepted}, nil
}
