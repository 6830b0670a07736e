package server

import (
	"context"
	"net/http"

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

// jobStatus answers 202 while a job runs and its answer when it is done, as a
// Bundle of type batch-response with one entry.
func (s *Server) jobStatus(_ context.Context, r *Request) (*Reply, error) {
	st, err := s.jobs.Get(r.Target.ID)
	if err != nil {
		return nil, err
	}
	if st.Owner != r.Actor {
		return nil, fault.New(fault.NotFound, "no such job")
	}
	switch st.State {
	case jobs.Cancelled:
		return nil, fault.New(fault.NotFound, "the job was cancelled")
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
	st, err := s.jobs.Get(r.Target.ID)
	if err != nil {
		return nil, err
	}
	res, ok := st.Result.(AsyncResult)
	if !ok || st.Owner != r.Actor {
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
	st, err := s.jobs.Get(r.Target.ID)
	if err == nil && st.Owner != r.Actor {
		err = fault.New(fault.NotFound, "no such job")
	}
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
