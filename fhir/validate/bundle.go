package validate

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// bundle checks what holds for a Bundle as a whole, beside the bdl invariants
// that FHIRPath evaluates (http://hl7.org/fhir/R4/bundle.html).
func (w *walk) bundle(b fhir.Node) {
	seen := map[string]bool{}
	i := 0
	for e := range b.Get("entry").Each() {
		if url := e.Get("fullUrl"); url.Exists() {
			key := url.Str() + " " + e.Get("resource").Get("meta").Get("versionId").Str()
			if seen[key] && b.Get("type").Str() != "history" {
				w.push("entry", i)
				w.reportAt(url, "fullUrl", finding{code: "invariant", key: "bdl-7", zh: "fullUrl 重复：" + quote(url.Str()), en: "bdl-7: fullUrl " + quote(url.Str()) + " occurs twice"})
				w.pop()
			}
			seen[key] = true
		}
		i++
	}
}

// bundleEntry checks one entry: bdl-8, fullUrl against the resource's id, and
// the request's URL.
func (w *walk) bundleEntry(e fhir.Node) {
	res := e.Get("resource")
	if url := e.Get("fullUrl"); url.Kind() == fhir.String {
		w.fullURL(url, res)
	}
	if url := e.Path("request", "url"); url.Kind() == fhir.String {
		w.requestURL(e, url, res)
	}
}

func (w *walk) fullURL(url, res fhir.Node) {
	s := url.Str()
	if strings.Contains(s, "/_history/") {
		w.reportAt(url, "fullUrl", finding{code: "invariant", key: "bdl-8", zh: "fullUrl 不能带版本", en: "bdl-8: fullUrl cannot be a version specific reference"})
		return
	}
	if !strings.Contains(s, ":") {
		w.reportAt(url, "fullUrl", finding{code: "value", key: "fullurl-relative", zh: "fullUrl 必须是绝对地址：" + quote(s), en: "fullUrl must be absolute: " + quote(s)})
		return
	}
	id := res.Get("id").Str()
	if !strings.HasPrefix(s, "http") || id == "" {
		return
	}
	parts := strings.Split(s, "/")
	last := parts[len(parts)-1]
	if len(parts) >= 2 && parts[len(parts)-2] == res.ResourceType() && last != id {
		w.reportAt(url, "fullUrl", finding{severity: "warning", code: "value", key: "fullurl-id", zh: "fullUrl 的 id（" + last + "）与资源的 id（" + id + "）不一致",
			en: "the id in fullUrl (" + last + ") differs from the resource's id (" + id + ")"})
	}
}

// requestURL checks the type a transaction entry addresses.
func (w *walk) requestURL(e, url, res fhir.Node) {
	method := e.Path("request", "method").Str()
	path, _, _ := strings.Cut(url.Str(), "?")
	typ, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if typ == "" || strings.HasPrefix(typ, "$") || strings.HasPrefix(typ, "_") || strings.Contains(path, "://") {
		return
	}
	w.push("request", -1)
	defer w.pop()
	if !w.v.model.IsResource(typ) {
		if typ != "metadata" {
			w.reportAt(url, "url", finding{code: "value", key: "request-url", zh: "请求地址中没有这种资源类型：" + quote(typ), en: "no such resource type in the request URL: " + quote(typ),
				hint: fault.DidYouMean(typ, w.v.model.Resources())})
		}
		return
	}
	if rt := res.ResourceType(); (method == "PUT" || method == "POST") && rt != "" && rt != typ && !strings.Contains(path, "$") {
		w.reportAt(url, "url", finding{code: "value", key: "request-type", zh: "请求地址的类型 " + typ + " 与资源类型 " + rt + " 不一致", en: "the request URL is for " + typ + " but the resource is a " + rt})
	}
}
