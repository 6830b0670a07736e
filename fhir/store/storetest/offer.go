package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Parameters returns a SearchParameter for each letter of codes.
func Parameters(codes string) (list [][]byte) {
	for _, c := range codes {
		list = append(list, fmt.Appendf(nil, `{"resourceType":"SearchParameter","id":"%c","code":"%c"}`, c, c))
	}
	return list
}

// Offer returns a transaction that offers a parameter for each letter of codes.
func Offer(id, codes string) *store.Transaction {
	var parts []string
	for _, p := range Parameters(codes) {
		parts = append(parts, string(p))
	}
	return &store.Transaction{ID: id, Ops: []store.Op{{Method: store.Offer, Type: "SearchParameter", Resource: []byte("[" + strings.Join(parts, ",") + "]")}}}
}

func (u *suite) found(query string) string {
	u.Helper()
	r, err := u.s.Commit(context.Background(), u.tx(store.Op{Method: store.Create, Type: "Patient", ID: "new", IfNoneExist: query, Resource: []byte(`{"resourceType":"Patient"}`)}))
	switch {
	case err != nil:
		return fault.KindOf(err).String()
	case !r.Outcomes[0].Changed:
		return r.Outcomes[0].Version.ID
	}
	u.do(store.Op{Method: store.Purge, Type: "Patient", ID: "new"})
	u.Fatalf("%s found nothing", query)
	return ""
}

// offer: a parameter is refused until it is offered; then it finds what was
// there before, what was written while it was built, and what comes later.
func (u *suite) offer() {
	ctx := context.Background()
	u.do(create("a", `,"n":"1"`))
	u.want("not offered", u.found("n=1"), "invalid")
	told := int64(0)
	if err := u.s.Build(ctx, Parameters("n"), func(n int64) { told = n }); err != nil || told != 1 {
		u.Fatal(told, err)
	}
	u.do(create("b", `,"n":"2"`))
	u.want("built but not offered", u.found("n=1"), "invalid")
	if _, err := u.s.Commit(ctx, Offer("o1", "n")); err != nil {
		u.Fatal(err)
	}
	u.do(create("c", `,"n":"3"`))
	u.want("before", u.found("n=1"), "a")
	u.want("while building", u.found("n=2"), "b")
	u.want("after", u.found("n=3"), "c")
	list, since, err := u.s.Offered()
	u.want("offered", []any{len(list), since > 0, err}, []any{1, true, nil})
	changed := Offer("o2", "n")
	changed.Ops[0].Resource = []byte(strings.Replace(string(changed.Ops[0].Resource), `"id"`, `"title":"x","id"`, 1))
	if _, err := u.s.Commit(ctx, changed); !fault.Is(err, fault.Conflict) {
		u.Fatalf("another content: %v", err)
	}
	if _, err := u.s.Commit(ctx, Offer("o3", "g")); err != nil { // nobody built it
		u.Fatal(err)
	}
	u.want("taken away", u.found("n=1"), "invalid")
	if err := u.s.Dump(func(k, _ []byte) error {
		if strings.Contains(string(k), "addn") || k[0] == 'b' {
			return fmt.Errorf("%q is left", k)
		}
		return nil
	}); err != nil {
		u.Fatal(err)
	}
}
