package search

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const defaultCount = 20

// controls reads the parameters that say what to return and in which order.
func (s *searcher) controls(params []query.Param) error {
	s.count = defaultCount
	if s.req.Count > 0 {
		s.count = min(s.req.Count, s.e.cfg.MaxCount)
	}
	if err := s.resultTypes(params); err != nil {
		return err
	}
	for _, p := range params {
		if !isControl(p.Key) {
			continue
		}
		err := s.control(p)
		if err == nil {
			s.apply(p, nil)
		} else if err = s.ignore(p, err, nil); err != nil {
			return err
		}
	}
	s.page.Count = s.count
	return nil
}

// resultTypes finds which types are searched.
func (s *searcher) resultTypes(params []query.Param) error {
	names := s.e.cat.Model.Resources()
	if s.req.Type != "" {
		names = []string{s.req.Type}
	} else {
		for _, p := range params {
			if p.Key == "_type" {
				names = strings.Split(p.Value, ",")
			}
		}
	}
	for _, name := range names {
		t := s.e.cat.Types[name]
		if t == nil {
			err := unknownType(name, s.e.cat.Model.Resources())
			if s.req.Type != "" { // it was in the path
				err.Kind = fault.NotFound
			}
			return err
		}
		if c := s.req.Compartment; c != nil && s.req.Type == "" {
			def := s.e.cat.Model.Compartment(c.Type)
			if def != nil && len(def.Resources[name]) == 0 && name != c.Type {
				continue
			}
		}
		s.types = append(s.types, t)
	}
	return nil
}

func (s *searcher) control(p query.Param) error {
	code, modifier, _ := strings.Cut(p.Key, ":")
	switch code {
	case "_count", "_maxresults":
		n, err := strconv.Atoi(p.Value)
		if err != nil || n < 0 {
			return badControl(p, "应为非负整数", "expected a number of 0 or more")
		}
		s.count = min(n, s.e.cfg.MaxCount)
	case "_total":
		if p.Value != "none" && p.Value != "estimate" && p.Value != "accurate" {
			return badControl(p, "应为 none、estimate 或 accurate", "expected none, estimate or accurate")
		}
		s.total = p.Value
	case "_summary":
		switch p.Value {
		case "count":
			s.count = 0
		case "true", "false", "text", "data":
		default:
			return badControl(p, "应为 true、text、data、count 或 false", "expected true, text, data, count or false")
		}
	case "_sort":
		return s.order(p)
	case "_include", "_revinclude":
		return s.inclusion(p, code, modifier)
	case "_contained", "_containedType":
		if p.Value != "false" && p.Value != "container" {
			return badControl(p, "不支持检索被包含的资源", "searching contained resources is not supported")
		}
	case "_offset":
		return badControl(p, "请使用 next 链接翻页", "follow the next links to page")
	}
	return nil
}

func badControl(p query.Param, zh, en string) error {
	return invalid("bad-search-control", "参数 "+p.Key+" 的值 “"+p.Value+"” 不正确："+zh, p.Key+"="+quote(p.Value)+": "+en, "")
}
