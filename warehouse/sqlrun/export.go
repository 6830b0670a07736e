package sqlrun

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// manifestName is the file below a job's address that lists the others.
const manifestName = "manifest"

// export is a job and, when it is done, its result: it implements
// server.AsyncResult.
type export struct {
	id           string
	folder       string
	tracking     string // clientTrackingId
	begun, ended time.Time
	files        []exportFile
}

type exportFile struct{ name, file, media string }

// task is one subject of an export.
type task struct {
	name   string
	params *params
	subject
}

// serveExport starts a job over one snapshot and says where to ask for it.
func (s *Service) serveExport(ctx context.Context, srv *server.Server, r *server.Request) (*server.Reply, error) {
	p, err := s.params(r)
	if err != nil {
		return nil, err
	}
	f, err := exportFormat(p)
	if err != nil {
		return nil, err
	}
	tasks, err := s.tasks(ctx, p)
	if err != nil {
		return nil, err
	}
	s.forget()
	e := &export{id: rand.Text(), tracking: p.first("clientTrackingId")}
	minOffset := r.MinOffset
	id, err := srv.Jobs().Start("sql-export", r.Actor, func(ctx context.Context, progress func(string)) (any, error) {
		if err := s.export(ctx, e, tasks, p, f, minOffset, progress); err != nil {
			os.RemoveAll(e.folder)
			return nil, err
		}
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	return srv.Accepted(r, id), nil
}

// tasks reads the subjects: repeated subject parameters, or one given at the top.
func (s *Service) tasks(ctx context.Context, p *params) ([]task, error) {
	list := p.nodes["subject"]
	if len(list) == 0 {
		sub, err := s.subject(ctx, p)
		if err != nil {
			return nil, err
		}
		return []task{{name: subjectName(sub, p.first("name")), params: p, subject: sub}}, nil
	}
	var tasks []task
	for _, n := range list {
		inner := &params{text: map[string][]string{}, nodes: map[string][]fhir.Node{}}
		for part := range n.Get("part").Each() {
			inner.add(part)
		}
		sub, err := s.subject(ctx, inner)
		if err != nil {
			return nil, err
		}
		t := task{name: subjectName(sub, inner.first("name")), params: inner, subject: sub}
		for _, other := range tasks {
			if other.name == t.name {
				return nil, invalid("parameter", "导出名重复："+clip(t.name), "two subjects are named "+clip(t.name))
			}
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

func subjectName(sub subject, given string) string {
	switch {
	case given != "":
		return given
	case sub.view != nil && sub.view.Name != "":
		return sub.view.Name
	}
	return "result"
}

// export writes one file for each task, all of one snapshot.
func (s *Service) export(ctx context.Context, e *export, tasks []task, p *params, f format, minOffset int64, progress func(string)) error {
	e.begun = s.parts.Now()
	var err error
	if e.folder, err = os.MkdirTemp(s.cfg.Folder, "sql-export-"); err != nil {
		return fault.New(fault.Unavailable, "make the folder of the export: %w", err)
	}
	snap, err := s.parts.Store.Snapshot(ctx, minOffset)
	if err != nil {
		return err
	}
	defer snap.Close()
	for _, t := range tasks {
		progress(t.name)
		name, err := baseName(t.name)
		if err != nil {
			return err
		}
		file := exportFile{name: t.name, file: name + "." + f.name, media: f.media()}
		out, err := os.Create(filepath.Join(e.folder, file.file))
		if err != nil {
			return err
		}
		buf := bufio.NewWriterSize(out, 1<<18)
		if t.library.Exists() {
			err = s.runLibrary(ctx, t.library, t.params, f, 0, buf)
		} else {
			err = s.exportView(ctx, t, p, f, buf, snap)
		}
		if err == nil {
			err = buf.Flush()
		}
		if e2 := out.Close(); err == nil {
			err = e2
		}
		if err != nil {
			return err
		}
		e.files = append(e.files, file)
	}
	e.ended = s.parts.Now()
	s.mu.Lock()
	s.exports[e.id] = e
	s.mu.Unlock()
	return nil
}

// forget removes exports that were kept long enough.
func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.exports {
		if s.parts.Now().Sub(e.ended) > s.cfg.Keep {
			os.RemoveAll(e.folder)
			delete(s.exports, id)
		}
	}
}

// Close removes the files of all exports.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.exports {
		os.RemoveAll(e.folder)
		delete(s.exports, id)
	}
	return nil
}

// Answer leads to the manifest.
func (e *export) Answer(_ *server.Request, at string) (*server.Reply, error) {
	return &server.Reply{Status: http.StatusSeeOther, Location: at + "/" + manifestName}, nil
}

// File answers the manifest or one of the files.
func (e *export) File(_ context.Context, r *server.Request, name string) (*server.Reply, error) {
	if name == manifestName {
		return &server.Reply{Body: e.manifest(r.Base + "/_async/" + r.Target.ID)}, nil
	}
	for _, f := range e.files {
		if f.file == name {
			data, err := os.ReadFile(filepath.Join(e.folder, f.file))
			if err != nil {
				return nil, fault.New(fault.Gone, "the file is gone: %w", err)
			}
			return &server.Reply{Native: data, ContentType: f.media}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "no such file")
}

// manifest lists the files of an export whose job is at an address.
func (e *export) manifest(at string) []byte {
	type part = map[string]any
	list := []part{{"name": "exportId", "valueString": e.id}}
	if e.tracking != "" {
		list = append(list, part{"name": "clientTrackingId", "valueString": e.tracking})
	}
	list = append(list, part{"name": "status", "valueCode": "completed"}, part{"name": "location", "valueUri": at + "/" + manifestName},
		part{"name": "exportStartTime", "valueInstant": e.begun.UTC().Format("2006-01-02T15:04:05.000Z07:00")},
		part{"name": "exportEndTime", "valueInstant": e.ended.UTC().Format("2006-01-02T15:04:05.000Z07:00")},
		part{"name": "exportDuration", "valueInteger": int(e.ended.Sub(e.begun) / time.Second)})
	for _, f := range e.files {
		list = append(list, part{"name": "output", "part": []part{{"name": "name", "valueString": f.name},
			{"name": "location", "valueUri": at + "/" + url.PathEscape(f.file)}}})
	}
	b, _ := json.Marshal(part{"resourceType": "Parameters", "parameter": list}) // plain values always marshal
	return b
}
