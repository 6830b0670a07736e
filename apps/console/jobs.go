package console

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

const jobsURL = "/console/jobs"

func (c *Console) mountJobs(p gin.IRouter) {
	if c.Jobs == nil {
		return
	}
	p.GET(jobsURL, c.jobsPage)
	p.GET(jobsURL+"/list", func(g *gin.Context) { c.render(g, "joblist", c.jobRows()) })
	p.POST(jobsURL+"/:id/cancel", sameOrigin, c.cancelJob)
}

// jobRow is one job as the page shows it.
type jobRow struct {
	ID, Name, Owner, State, Class, Progress, Took, Error, Result string
	Started                                                      time.Time
	Open                                                         bool
}

// jobNames are what jobs do, in Chinese.
var jobNames = map[string]string{"export": "批量导出", "import": "批量导入", "reindex": "重建索引", "search-parameters": "索引新的检索参数", "operation": "异步操作", "transaction": "异步事务", "search-type": "异步检索", "search-system": "异步检索", "search-compartment": "异步检索"}

// jobStates are the states in Chinese with their style.
var jobStates = map[jobs.State][2]string{jobs.Waiting: {"排队", "warn"}, jobs.Running: {"进行中", "warn"}, jobs.Done: {"完成", ""}, jobs.Failed: {"失败", "bad"}, jobs.Cancelled: {"已取消", "bad"}}

func (c *Console) jobRows() []jobRow {
	var out []jobRow
	for _, j := range c.Jobs.List() {
		state := jobStates[j.State]
		r := jobRow{ID: j.ID, Name: j.Name, Owner: j.Owner, State: state[0], Class: state[1], Progress: j.Progress, Started: j.Started, Open: !j.Over()}
		if n := jobNames[j.Name]; n != "" {
			r.Name = n
		}
		end := j.Ended
		if end.IsZero() {
			end = time.Now()
		}
		r.Took = end.Sub(j.Started).Round(100 * time.Millisecond).String()
		if j.Err != nil {
			r.Error, _ = sentence(j.Err)
		}
		if j.State == jobs.Done && j.Result != nil {
			r.Result = "/fhir/_async/" + j.ID
		}
		out = append(out, r)
	}
	return out
}

func (c *Console) jobsPage(g *gin.Context) {
	c.render(g, "jobs", struct {
		web.Page
		Jobs []jobRow
	}{c.page("作业", jobsURL), c.jobRows()})
}

func (c *Console) cancelJob(g *gin.Context) {
	if err := c.Jobs.Cancel(g.Param("id")); err != nil {
		if fault.Is(err, fault.NotFound) {
			err = fault.New(fault.NotFound, "没有这个作业，可能已结束并清除")
		}
		c.refuse(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, jobsURL)
}
