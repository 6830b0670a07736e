package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// Searcher answers searches; satisfied by *search.Engine.
type Searcher interface {
	Search(ctx context.Context, ix search.Index, req search.Request) (*search.Page, error)
}

// Repository is what the resource pages read.
type Repository struct {
	Store  store.Reader
	Search Searcher
	Model  *definitions.Model
	XML    func(json []byte) ([]byte, error)

	counts counts
}

const resources = "/console/resources"

func (c *Console) mountRepository(p gin.IRouter) {
	if c.Repository == nil {
		return
	}
	p.GET(resources, c.typesPage)
	p.GET(resources+"/:type", c.listPage)
	p.GET(resources+"/:type/:id", c.resourcePage)
	p.GET(resources+"/:type/:id/history", c.historyPage)
	p.GET("/console/search/:type/add", c.addCondition)
	p.GET("/console/search/:type/input", c.conditionInput)
}

// typeCount is a resource type with how many there are.
type typeCount struct {
	Type, Name string
	Count      int64
}

// counts are shared by all open pages and counted again when they are older
// than thirty times what counting took.
type counts struct {
	mu    sync.Mutex
	list  []typeCount
	until time.Time
}

// types counts the resources of each type, most first.
func (r *Repository) types(ctx context.Context) ([]typeCount, error) {
	r.counts.mu.Lock()
	defer r.counts.mu.Unlock()
	begin := time.Now()
	if begin.Before(r.counts.until) {
		return r.counts.list, nil
	}
	snap, err := r.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	var list []typeCount
	for _, typ := range r.Model.Resources() {
		page, err := r.Search.Search(ctx, snap.Index(), search.Request{Type: typ, Query: "_summary=count", Now: begin})
		if err != nil {
			return nil, err
		}
		if page.Total != nil && *page.Total > 0 {
			list = append(list, typeCount{typ, typeNames[typ], int64(*page.Total)})
		}
	}
	sort.SliceStable(list, func(i, k int) bool { return list[i].Count > list[k].Count })
	r.counts.list, r.counts.until = list, time.Now().Add(max(2*time.Second, 30*time.Since(begin)))
	return list, nil
}

// typeNames are the Chinese names of the types that halls meet.
var typeNames = map[string]string{
	"Patient": "患者", "Encounter": "就诊", "Condition": "诊断（病、证）", "Observation": "四诊与观察", "MedicationRequest": "处方", "Medication": "药品与药味", "ChargeItem": "收费明细",
	"Composition": "病历文书", "Organization": "机构", "Practitioner": "医务人员", "PractitionerRole": "岗位", "Procedure": "治疗与操作", "Coverage": "参保", "Claim": "结算申请",
	"ExplanationOfBenefit": "结算单", "ClinicalImpression": "辨证", "Subscription": "订阅", "Basic": "其他（含订阅主题）", "Measure": "监管指标", "StructureDefinition": "数据规范",
	"CodeSystem": "代码系统", "ValueSet": "值集", "ConceptMap": "对照表", "SearchParameter": "检索参数", "Questionnaire": "问卷", "QuestionnaireResponse": "问卷答卷", "PlanDefinition": "规则与方案",
	"DocumentReference": "文档", "Group": "人群", "Location": "地点", "AllergyIntolerance": "过敏", "Immunization": "预防接种", "DiagnosticReport": "检查报告", "ServiceRequest": "申请",
	"CarePlan": "调养方案", "Task": "任务", "AuditEvent": "访问记录", "Consent": "知情同意", "Provenance": "来源", "Bundle": "资源包", "Binary": "文件", "Appointment": "预约", "MedicationDispense": "发药",
	"CapabilityStatement": "能力声明", "ImplementationGuide": "实施指南", "OperationDefinition": "操作", "Library": "知识库", "PaymentReconciliation": "对账",
}

func (c *Console) typesPage(g *gin.Context) {
	list, err := c.Repository.types(g.Request.Context())
	if err != nil {
		c.refuse(g, err)
		return
	}
	var total int64
	have := map[string]bool{}
	for _, t := range list {
		total += t.Count
		have[t.Type] = true
	}
	var rest []string
	for _, t := range c.Repository.Model.Resources() {
		if !have[t] {
			rest = append(rest, t)
		}
	}
	c.render(g, "types", struct {
		web.Page
		Types []typeCount
		Rest  []string
		Total int64
	}{c.page("资源", resources), list, rest, total})
}

// resourcePage shows one resource: as a tree, JSON or XML, of any version.
func (c *Console) resourcePage(g *gin.Context) {
	ctx := g.Request.Context()
	typ, id := g.Param("type"), g.Param("id")
	v, err := c.Repository.read(ctx, typ, id, g.Query("version"))
	if err != nil {
		c.refuse(g, err)
		return
	}
	view := struct {
		web.Page
		Type, Name, ID, As, Head, Text string
		Version                        *store.Version
		Tree                           []branch
		Old                            bool
	}{Page: c.page(typ+"/"+id, resources), Type: typ, Name: typeNames[typ], ID: id, As: g.DefaultQuery("as", "tree"), Version: v, Old: g.Query("version") != ""}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		c.refuse(g, err)
		return
	}
	view.Head = headline(tree.Root())
	switch view.As {
	case "json":
		view.Text = indent(v.Resource)
	case "xml":
		b, err := c.Repository.XML(v.Resource)
		if err != nil {
			c.refuse(g, err)
			return
		}
		view.Text = string(b)
	default:
		view.As = "tree"
		view.Tree = c.Repository.branches(tree.Root(), c.Repository.Model.Type(typ))
	}
	c.render(g, "resource", view)
}

// read reads a version, the current one where none is named. fault.Gone for a
// deletion.
func (r *Repository) read(ctx context.Context, typ, id, version string) (*store.Version, error) {
	if !r.Model.IsResource(typ) {
		return nil, fault.New(fault.NotFound, "没有资源类型 %s", typ)
	}
	snap, err := r.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	var v *store.Version
	if version == "" {
		v, err = snap.Read(typ, id)
	} else {
		n, perr := strconv.ParseInt(version, 10, 64)
		if perr != nil {
			return nil, fault.New(fault.Invalid, "版本应为数字")
		}
		v, err = snap.VRead(typ, id, n)
	}
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, fault.New(fault.NotFound, "没有 %s/%s", typ, id)
	case fault.Is(err, fault.Gone):
		return nil, fault.New(fault.Gone, "%s/%s 已删除，可在“历史”中查看以前的版本", typ, id)
	case err != nil:
		return nil, err
	}
	c := *v
	c.Resource = bytes.Clone(v.Resource)
	return &c, nil
}

func indent(b []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return string(b)
	}
	return out.String()
}

// refuse answers a page request with a sentence that says what to do.
func (c *Console) refuse(g *gin.Context, err error) {
	kind := fault.KindOf(err)
	msg, hint := "系统内部错误，请把发生的时间告诉管理员。", ""
	var f *fault.Error
	if errors.As(err, &f) && kind != fault.Internal {
		msg = f.Msg
		for i, is := range f.Issues {
			if i == 0 && is.Text != "" {
				msg, hint = is.Text, is.Hint
			}
		}
	}
	if kind == fault.Internal || kind == fault.Unavailable {
		c.Log.ErrorContext(g, "console page", "path", g.FullPath(), "error", err)
	}
	g.Status(statuses[kind])
	c.render(g, "refused", struct {
		web.Page
		Message, Hint string
	}{c.page("没有成功", resources), msg, hint})
	g.Abort()
}

// sameOrigin refuses a form that another site sent.
func sameOrigin(g *gin.Context) {
	if o := g.GetHeader("Origin"); o != "" {
		u, err := url.Parse(o)
		if err != nil || u.Host != g.Request.Host {
			g.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "forbidden", "message": "请求来自别的网站，已拒绝"})
		}
	}
}
