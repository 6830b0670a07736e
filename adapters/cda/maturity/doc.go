// Package maturity makes the accreditation report: what the evaluation of regional
// health information interoperability (区域卫生信息互联互通标准化成熟度测评) would look
// at, as far as the data describes it: data sets (WS 445), shared documents
// (WS/T 500) and services (WS/T 790).
//
// The official score tables are not available to us. The scheme here is our own
// and says so: 30 points for data sets, 40 for documents, 30 for services, each
// item in equal parts; an item that could not be looked at counts neither way.
package maturity

import "time"

// Weights of the three parts, of 100.
const (
	WeightDatasets  = 30
	WeightDocuments = 40
	WeightServices  = 30
)

// Scheme says whose scores these are.
const Scheme = "评分办法为本项目自拟（官方评分表未取得）：数据集 30 分、共享文档 40 分、交互服务 30 分，各项等权；未检测的项目不计入。不代表正式测评结果。"

// Report is the result.
type Report struct {
	Time    time.Time `json:"time"`
	Subject string    `json:"subject"` // base URL of the hub, or what was looked at
	Version string    `json:"version"`
	Scheme  string    `json:"scheme"`
	Score   float64   `json:"score"` // of Max
	Max     float64   `json:"max"`
	Parts   []Part    `json:"parts"`
}

// Part is one of data sets, documents, services.
type Part struct {
	Name   string  `json:"name"`
	Score  float64 `json:"score"`
	Max    float64 `json:"max"` // 0 = nothing could be looked at
	Note   string  `json:"note,omitempty"`
	Items  []Item  `json:"items"`
	Weight float64 `json:"weight"`
}

// Item is one thing looked at. Share is what of it holds, 0 to 1.
type Item struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Share    float64  `json:"share"`
	Unknown  bool     `json:"unknown,omitempty"` // could not be looked at
	Evidence string   `json:"evidence"`
	Missing  []string `json:"missing,omitempty"`
	Source   string   `json:"source"`
}

// Status is passed, partial, failed or unknown.
func (i Item) Status() string {
	switch {
	case i.Unknown:
		return "未检测"
	case i.Share >= 1:
		return "通过"
	case i.Share > 0:
		return "部分"
	}
	return "未通过"
}

// sum scores a part: the mean share of its items, by its weight.
func (p *Part) sum() {
	n, total := 0.0, 0.0
	for _, i := range p.Items {
		if !i.Unknown {
			n++
			total += i.Share
		}
	}
	if n > 0 {
		p.Max, p.Score = p.Weight, p.Weight*total/n
	}
}
