package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// record is what is kept of an export beside its files, and of an import, so
// that it goes on after a restart: what was asked, what is done, what came of it.
type record struct {
	Actor    string    `json:"actor,omitempty"`
	Base     string    `json:"base"`
	Type     string    `json:"type,omitempty"`
	ID       string    `json:"id,omitempty"`
	Query    string    `json:"query,omitempty"`
	Body     []byte    `json:"body,omitempty"`
	Offset   int64     `json:"offset"` // state of the first run
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"` // zero = not yet
	Types    []string  `json:"types"` // finished
	Manifest *manifest `json:"manifest"`

	Import *importState `json:"import,omitempty"` // nil = an export
}

// recordName is the record's file.
const recordName = "job.json"

// keepFiles is how long the files of a finished job are kept.
const keepFiles = 24 * time.Hour

func (rec *record) save(ctx context.Context, files Files, job string) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	f, err := files.Create(ctx, job+"/"+recordName)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

func readRecord(ctx context.Context, files Files, job string) (*record, error) {
	f, _, err := files.Open(ctx, job+"/"+recordName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rec := &record{}
	if err := json.NewDecoder(f).Decode(rec); err != nil {
		return nil, fault.New(fault.Invalid, "export record of %s: %w", job, err)
	}
	return rec, nil
}

// Resume makes the exports and imports of an earlier process known to s: the
// results of finished ones can be fetched, unfinished ones go on under their old
// address, an export with the first type and an import with the first row that
// was not done. It also removes what has been kept long enough.
func Resume(ctx context.Context, s *server.Server, files Files, open Opener) error {
	list, err := files.Jobs(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range list {
		rec, err := readRecord(ctx, files, id)
		switch {
		case err != nil || rec.Manifest == nil && rec.Import == nil: // begun and not even recorded
			errs = append(errs, files.Remove(ctx, id))
		case !rec.Ended.IsZero() && s.Now().Sub(rec.Ended) > keepFiles:
			errs = append(errs, files.Remove(ctx, id))
		case rec.Import != nil && rec.Ended.IsZero():
			errs = append(errs, runImport(s, files, open, id, rec))
		case rec.Import != nil:
			s.Jobs().Restore(jobs.Status{ID: id, Name: "import", Owner: rec.Actor, State: jobs.Done, Started: rec.Started, Ended: rec.Ended, Result: &imported{files, id, rec}})
		case !rec.Ended.IsZero():
			rec.Manifest.files, rec.Manifest.id = files, id
			s.Jobs().Restore(jobs.Status{ID: id, Name: "export", Owner: rec.Actor, State: jobs.Done, Started: rec.Started, Ended: rec.Ended, Result: rec.Manifest})
		default:
			errs = append(errs, goOn(s, files, id, rec))
		}
	}
	return errors.Join(errs...)
}

// goOn starts an unfinished export again.
func goOn(s *server.Server, files Files, id string, rec *record) error {
	r := &server.Request{Target: rest.Target{Type: rec.Type, ID: rec.ID}, Query: rec.Query, Body: rec.Body, Base: rec.Base, Actor: rec.Actor, MinOffset: rec.Offset}
	req, err := readExport(s, r)
	if err != nil {
		return err
	}
	req.types = slices.DeleteFunc(req.types, func(t string) bool { return slices.Contains(rec.Types, t) })
	rec.Manifest.files, rec.Manifest.id = files, id
	x := &export{s: s, r: r, req: req, files: files, id: id, rec: rec, out: rec.Manifest}
	_, err = s.Jobs().StartAs(id, "export", rec.Actor, x.run)
	return err
}

// sweep removes jobs that have been kept long enough.
func sweep(ctx context.Context, s *server.Server, files Files) error {
	list, err := files.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, id := range list {
		if rec, err := readRecord(ctx, files, id); err == nil && !rec.Ended.IsZero() && s.Now().Sub(rec.Ended) > keepFiles {
			if err := files.Remove(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Discard removes the files with the result.
func (m *manifest) Discard(ctx context.Context) error { return m.files.Remove(ctx, m.id) }
