package files

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// Checker tries a message without effect: the error is what its sink would say.
// nil = what comes is not checked beforehand.
type Checker func(ctx context.Context, m *pipeline.Message) error

// Parts is what a source needs of the hub.
type Parts struct {
	Intake *source.Intake
	State  *source.State
	Kind   string // of messages; "" = told by their content
	Check  Checker
}

// Source looks after one place.
type Source struct {
	cfg     Config
	parts   Parts
	connect func(ctx context.Context) (place, error)
	looked  map[string]entry // as the last round saw it
}

// New returns the source of a folder of this machine. cfg must be valid, as
// those of NewSFTP and NewS3.
func New(cfg Config, parts Parts) *Source {
	return newSource(cfg, parts, func(context.Context) (place, error) { return local{cfg.Folder}, nil })
}

// NewSFTP returns the source of an SFTP folder.
func NewSFTP(cfg SFTP, parts Parts) *Source {
	return newSource(cfg.Config, parts, func(ctx context.Context) (place, error) {
		r, err := dialSFTP(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return r, nil
	})
}

// NewS3 returns the source of an S3 prefix.
func NewS3(cfg S3, parts Parts) *Source {
	return newSource(cfg.Config, parts, func(context.Context) (place, error) {
		b, err := openS3(cfg)
		if err != nil {
			return nil, err
		}
		return b, nil
	})
}

func newSource(cfg Config, parts Parts, connect func(context.Context) (place, error)) *Source {
	if !cfg.Check {
		parts.Check = nil
	}
	return &Source{cfg: cfg, parts: parts, connect: connect, looked: map[string]entry{}}
}

// badFile is the alert of a file with errors.
const badFile = "file"

// Run looks at the place until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	return s.parts.Intake.Every(ctx, s.cfg.Interval, func(ctx context.Context) {
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.parts.Intake.Log().Warn("folder not read", "error", err)
			s.parts.Intake.Trouble(source.Unreachable, "读不到文件夹："+fault.Sentence(asFault(err)))
			return
		}
		s.parts.Intake.Fine(source.Unreachable)
	})
}

// asFault gives an error of the file system or a library words to show.
func asFault(err error) error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Forbidden, "没有权限：%w", err)
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "文件或文件夹不存在：%w", err)
	}
	return fault.New(fault.Unavailable, "连接或读取失败：%w", err)
}

// round takes every file that looks as it did in the last round.
func (s *Source) round(ctx context.Context) error {
	p, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	entries, err := p.list(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if c := a.Modified.Compare(b.Modified); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	looked := make(map[string]entry, len(entries))
	for _, e := range entries {
		looked[e.Name] = e
	}
	before := s.looked
	s.looked = looked
	for _, e := range entries {
		if ctx.Err() != nil || s.parts.Intake.Held() {
			return nil
		}
		memo := memoOf(e.Name, looked)
		if skipped(e.Name) || !same(before, e) || memo != "" && !same(before, looked[memo]) {
			continue
		}
		if err := s.take(ctx, p, e, memo); err != nil {
			return err
		}
		delete(looked, e.Name)
	}
	return nil
}

// same reports that a file has not changed since the last round.
func same(before map[string]entry, e entry) bool {
	b, ok := before[e.Name]
	return ok && b.Size == e.Size && b.Modified.Equal(e.Modified)
}

// memoOf names the memo file beside a .dbf, "" if there is none.
func memoOf(name string, all map[string]entry) string {
	ext := path.Ext(name)
	if !strings.EqualFold(ext, ".dbf") {
		return ""
	}
	base := strings.TrimSuffix(name, ext)
	for _, e := range []string{".dbt", ".fpt", ".DBT", ".FPT", ".Fpt", ".Dbt"} {
		if _, ok := all[base+e]; ok {
			return base + e
		}
	}
	return ""
}

// take reads one file and puts it away. An error is of the place or of ctx: the
// file stays and comes again; what is in the log already is recognised.
func (s *Source) take(ctx context.Context, p place, e entry, memo string) error {
	begin := time.Now()
	r := &reading{source: s, name: e.Name}
	err := r.file(ctx, p, e, memo)
	if errors.Is(err, errGrowing) {
		return nil
	}
	var stop *stopped
	if errors.As(err, &stop) {
		return stop.error
	}
	var told *seen
	if err != nil && !errors.As(err, &told) {
		r.problem(0, "", fault.Sentence(err))
	}
	folder := doneFolder
	if r.failed > 0 {
		folder = failedFolder
	}
	as, err := s.away(ctx, p, r, folder, memo)
	if err != nil {
		return err
	}
	log := s.parts.Intake.Log()
	if r.failed > 0 {
		log.Warn("file taken with errors", "rows", r.rows, "failed", r.failed)
		s.parts.Intake.Trouble(badFile, "文件 "+as+" 有 "+itoa(r.failed)+" 处错误，原文件与逐行原因在 "+failedFolder+"/")
		return nil
	}
	log.Info("file taken", "rows", r.rows, "messages", r.messages, "took", time.Since(begin).Round(time.Millisecond))
	return nil
}

// away puts a file that was read into a folder. The report of its errors goes
// first and its memo last: where the line breaks in between, the file is read
// again and whole.
func (s *Source) away(ctx context.Context, p place, r *reading, folder, memo string) (as string, err error) {
	as, err = free(ctx, p, folder, r.name)
	if err != nil {
		return "", err
	}
	if r.failed > 0 {
		if err := p.write(ctx, folder, as+".errors.json", r.report(as)); err != nil {
			return "", err
		}
	}
	if err := p.move(ctx, r.name, folder, as); err != nil || memo == "" {
		return as, err
	}
	memoAs, err := free(ctx, p, folder, memo)
	if err != nil {
		return "", err
	}
	return as, p.move(ctx, memo, folder, memoAs)
}

// stopped is an error that is not the file's.
type stopped struct{ error }
