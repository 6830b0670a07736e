package desk

import (
	"context"
	"testing"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

func TestCataloguesBecomeTerminology(t *testing.T) {
	b := newBench(t)
	c := WithCatalogues(b.desk, b.centre)
	ctx := context.Background()
	for range 2 { // a second download changes nothing
		if _, err := c.Catalogue(ctx, ncms.CatalogueQuery{Caller: who, Kind: ncms.Drugs}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Propose(ctx, who, ncms.Drugs, []ncms.Mapping{{Code: "5045", Name: "桂枝", SchemeCode: "N5045"}, {Code: "9", Name: "x", SchemeCode: "none"}}); err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"5045", "9"} {
		if _, err := c.Approval(ctx, who, "", code); err != nil {
			t.Fatal(err)
		}
	}
	systems, maps := b.resources("CodeSystem"), b.resources("ConceptMap")
	if len(systems) != 1 || len(maps) != 1 {
		t.Fatalf("%d code systems, %d maps", len(systems), len(maps))
	}
	for _, n := range systems {
		if n.Get("concept").Len() != 5 || n.Get("version").Str() != "20260101" || n.Path("concept", "display").Str() != "大枣" {
			t.Errorf("%s", n.Raw())
		}
	}
	for _, n := range maps {
		e := n.Path("group", "element")
		if e.At(0).Path("target", "code").Str() != "N5045" || e.At(0).Path("target", "equivalence").Str() != "equivalent" || e.At(1).Path("target", "equivalence").Str() != "disjoint" {
			t.Errorf("%s", n.Raw())
		}
	}
}
