package operation

import (
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// reindex is POST $reindex, ours: it indexes every current resource anew as a
// job that tells its progress; reads and writes go on meanwhile.
func reindex(run func(ctx context.Context, progress func(resources int64)) error) server.Operation {
	return server.Operation{Name: "reindex", Definition: "https://qihuang.health/fhir/OperationDefinition/reindex", System: true, Changes: true, Async: true,
		Run: func(_ context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			id, err := s.Jobs().Start("reindex", r.Actor, func(ctx context.Context, progress func(string)) (any, error) {
				var n int64
				err := run(ctx, func(resources int64) {
					n = resources
					progress(strconv.FormatInt(n, 10) + " resources")
				})
				return reindexed(n), err
			})
			if err != nil {
				return nil, err
			}
			return s.Accepted(r, id), nil
		}}
}

// reindexed is how many resources were indexed; it implements server.AsyncResult.
type reindexed int64

// Answer implements server.AsyncResult.
func (n reindexed) Answer(r *server.Request, _ string) (*server.Reply, error) {
	num := strconv.FormatInt(int64(n), 10)
	return reply(outcome.Info("已重建 "+num+" 个资源的索引", "indexed "+num+" resources", outcome.Options{English: r.English}), nil)
}

// File implements server.AsyncResult: there is none.
func (reindexed) File(context.Context, *server.Request, string) (*server.Reply, error) {
	return nil, fault.New(fault.NotFound, "no such file")
}
