package bulk

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// importJob is an $import that outlives its request and the process: after each
// transaction it writes down how far it is, and goes on there.
type importJob struct {
	im    *importing
	files Files
	id    string
	rec   *record
}

// bodyName is the file that keeps the NDJSON an import came with.
const bodyName = "input.ndjson"

// startImport records an import and begins it: what was accepted is not lost.
func startImport(ctx context.Context, im *importing, files Files, r *server.Request) (*server.Reply, error) {
	if err := sweep(ctx, im.s, files); err != nil {
		return nil, err
	}
	id := im.s.NewID()
	if im.at.Inputs == nil {
		f, err := files.Create(ctx, id+"/"+bodyName)
		if err != nil {
			return nil, err
		}
		_, err = f.Write(r.Body)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	rec := &record{Actor: r.Actor, Base: r.Base, Started: im.s.Now(), Import: im.at}
	if err := rec.save(ctx, files, id); err != nil {
		return nil, err
	}
	if err := runImport(im.s, files, im.open, id, rec); err != nil {
		return nil, errors.Join(err, files.Remove(ctx, id))
	}
	return im.s.Accepted(r, id), nil
}

// runImport starts the job of a record where the record says.
func runImport(s *server.Server, files Files, open Opener, id string, rec *record) error {
	// The same for every process that goes on with it, for transaction ids follow from it.
	r := &server.Request{Method: http.MethodPost, Base: rec.Base, Actor: rec.Actor, English: rec.Import.English, ID: id}
	j := &importJob{im: &importing{s: s, r: r, open: open, at: rec.Import}, files: files, id: id, rec: rec}
	_, err := s.Jobs().StartAs(id, "import", rec.Actor, j.run)
	return err
}

func (j *importJob) run(ctx context.Context, progress func(string)) (any, error) {
	j.im.key = func() string { return j.id + "-" + strconv.Itoa(j.im.at.File) + "-" + strconv.Itoa(j.im.at.Row) }
	j.im.keep = func(ctx context.Context) error {
		progress(strconv.Itoa(j.im.at.Stored))
		return j.rec.save(ctx, j.files, j.id)
	}
	err := j.all(ctx)
	if st, gerr := j.im.s.Jobs().Get(j.id); err != nil && gerr == nil && st.State == jobs.Cancelled { // by its owner, not by the hub's end
		err = errors.Join(err, j.files.Remove(context.WithoutCancel(ctx), j.id))
	}
	if err != nil {
		return nil, err
	}
	return &imported{j.files, j.id, j.rec}, nil
}

// all imports what is not imported yet and records the answer.
func (j *importJob) all(ctx context.Context) error {
	if j.rec.Import.Inputs == nil {
		f, _, err := j.files.Open(ctx, j.id+"/"+bodyName)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := j.im.lines(ctx, f); err != nil {
			return err
		}
	} else if err := j.im.inputs(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j.rec.Ended = j.im.s.Now()
	return j.rec.save(ctx, j.files, j.id)
}

// imported is the result of a finished import; it implements server.AsyncResult.
type imported struct {
	files Files
	id    string
	rec   *record
}

// Answer implements server.AsyncResult: the outcome, as the entry of a Bundle
// like every other asynchronous answer.
func (d *imported) Answer(r *server.Request, _ string) (*server.Reply, error) {
	im := importing{r: r, at: d.rec.Import}
	w := bundle.New("batch-response", d.id, d.rec.Ended, -1)
	w.Open()
	w.Resource(im.outcome())
	w.Response(http.StatusOK)
	w.Shut()
	w.Shut()
	return &server.Reply{Body: w.End()}, nil
}

// File implements server.AsyncResult: an import has none.
func (d *imported) File(context.Context, *server.Request, string) (*server.Reply, error) {
	return nil, fault.New(fault.NotFound, "no such file")
}

// Discard removes the record with the result.
func (d *imported) Discard(ctx context.Context) error { return d.files.Remove(ctx, d.id) }
