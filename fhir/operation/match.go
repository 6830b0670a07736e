package operation

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// match is Patient/$match: the patients that may be the one in the parameter
// resource, best first (patient-operation-match.html). Parameters:
// onlyCertainMatches, count. A shared identifier makes a match certain; else
// agreeing demographics add up.
func match() server.Operation {
	return server.Operation{Name: "match", Definition: coreOp + "Patient-match", Types: []string{"Patient"}, Run: runMatch}
}

// The weights of agreeing demographics. They sum to 1 less what only an
// identifier can tell; a name alone is no match, name and birth date are.
const (
	weighName    = 0.40
	weighBirth   = 0.30
	weighPhone   = 0.15
	weighGender  = 0.05
	weighAddress = 0.05
	probable     = 0.70 // name and birth date
	possible     = 0.45 // birth date and phone, or a name with phone
	maxMatched   = 1000 // candidates looked at for each criterion
)

type candidate struct {
	id    string
	json  []byte
	score float64
}

func (c candidate) grade() string {
	switch {
	case c.score == 1:
		return "certain"
	case c.score >= probable:
		return "probable"
	case c.score >= possible:
		return "possible"
	}
	return "certainly-not"
}

func runMatch(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
	in, err := readInputs(r)
	if err != nil {
		return nil, err
	}
	given := in.part("resource").Get("resource")
	if in.body.ResourceType() == "Patient" {
		given = in.body
	}
	if given.ResourceType() != "Patient" {
		return nil, invalid("match", "$match 需要参数 resource（Patient）", "$match needs the parameter resource, a Patient")
	}
	most := 20
	if v := in.Get("count"); v != "" {
		if most, err = strconv.Atoi(v); err != nil || most < 1 {
			return nil, invalid("count", "count 应为正整数", "count must be a positive integer")
		}
	}
	snap, err := s.Snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	found, err := candidates(ctx, s, snap, given)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.id, b.id))
	})
	floor := possible
	if in.Get("onlyCertainMatches") == "true" {
		floor = 1
	}
	found = slices.DeleteFunc(found, func(c candidate) bool { return c.score < floor })
	out := bundle.New("searchset", s.NewID(), s.Now(), int64(len(found)))
	for _, c := range found[:min(most, len(found))] {
		out.Graded(r.Base, "Patient", c.id, c.json, c.score, c.grade())
	}
	return &server.Reply{Body: out.End(), Offset: snap.Offset()}, nil
}

// candidates finds the patients that share an identifier, a phone number or the
// birth date, and scores them.
func candidates(ctx context.Context, s *server.Server, snap store.Snapshot, given fhir.Node) ([]candidate, error) {
	var list []candidate
	seen := map[string]bool{}
	for _, q := range blocking(given) {
		q.Set("_count", strconv.Itoa(maxMatched))
		q.Set("_total", "none")
		page, err := s.Find(ctx, snap, search.Request{Type: "Patient", Query: q.Encode()})
		if err != nil {
			return nil, err
		}
		for _, m := range page.Matches {
			if seen[m.ID] {
				continue
			}
			seen[m.ID] = true
			v, err := snap.Read("Patient", m.ID)
			if err != nil {
				return nil, err
			}
			tree, err := fhir.Parse(v.Resource)
			if err != nil {
				return nil, err
			}
			list = append(list, candidate{m.ID, v.Resource, score(given, tree.Root())})
		}
	}
	return list, nil
}

// blocking are the searches that lead to candidates.
func blocking(p fhir.Node) (list []url.Values) {
	for id := range p.Get("identifier").Each() {
		if v := id.Get("value").Str(); v != "" {
			list = append(list, url.Values{"identifier": {escape(id.Get("system").Str()) + "|" + escape(v)}})
		}
	}
	for _, phone := range phones(p) {
		list = append(list, url.Values{"telecom": {escape(phone)}})
	}
	birth := p.Get("birthDate").Str()
	if birth == "" {
		return list
	}
	for _, name := range names(p) {
		list = append(list, url.Values{"birthdate": {birth}, "name": {escape(name)}})
	}
	// Names are written in one or in parts: of a province, some hundred people
	// share a birth date.
	return append(list, url.Values{"birthdate": {birth}})
}

var escaper = strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "$", `\$`)

func escape(s string) string { return escaper.Replace(s) }

// score tells how well two patients agree, from 0 to 1 (the same identifier).
func score(a, b fhir.Node) float64 {
	for x := range a.Get("identifier").Each() {
		for y := range b.Get("identifier").Each() {
			if v := x.Get("value").Str(); v != "" && v == y.Get("value").Str() && x.Get("system").Str() == y.Get("system").Str() && x.Get("system").Exists() {
				return 1
			}
		}
	}
	sum := 0.0
	add := func(agree bool, weight float64) {
		if agree {
			sum += weight
		}
	}
	add(meet(names(a), names(b)), weighName)
	add(equal(a, b, "birthDate"), weighBirth)
	add(meet(phones(a), phones(b)), weighPhone)
	add(equal(a, b, "gender"), weighGender)
	add(meet(texts(a.Get("address")), texts(b.Get("address"))), weighAddress)
	return sum
}

func equal(a, b fhir.Node, name string) bool {
	return a.Get(name).Str() != "" && a.Get(name).Str() == b.Get(name).Str()
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// names are a patient's full names without spaces: the text, else family and given.
func names(p fhir.Node) (list []string) {
	for n := range p.Get("name").Each() {
		full := n.Get("text").Str()
		if full == "" {
			full = n.Get("family").Str()
			for g := range n.Get("given").Each() {
				full += g.Str()
			}
		}
		if full = strings.ToLower(strings.ReplaceAll(full, " ", "")); full != "" {
			list = append(list, full)
		}
	}
	return list
}

func phones(p fhir.Node) (list []string) {
	for t := range p.Get("telecom").Each() {
		if v := t.Get("value").Str(); v != "" && t.Get("system").Str() != "email" {
			list = append(list, v)
		}
	}
	return list
}

func texts(addresses fhir.Node) (list []string) {
	for a := range addresses.Each() {
		if v := a.Get("text").Str(); v != "" {
			list = append(list, v)
		}
	}
	return list
}
