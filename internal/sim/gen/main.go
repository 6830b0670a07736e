// Command gen extracts the facts that the simulator draws from out of the
// public tables: `go run ./internal/sim/gen DIR` writes internal/sim/data/clinic.json.
package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/internal/sim"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIR-OF-THE-TABLES")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type tables struct {
	Rules struct {
		Rules []struct {
			Disease, Syndrome, Therapy, DiseaseCode, SyndromeCode string
			KeySymptoms, Tongue, Pulse, Formula, FormulaCode      []string
		}
	}
	Formulas struct {
		Formulas []struct {
			Code, Name  string
			Ingredients []string
		}
	}
	Herbs struct {
		Herbs []struct {
			Name  string
			Usage []string
			Dose  struct {
				MinG, MaxG float64
				Basis      string
			}
		}
	}
	Pairs struct {
		Eighteen groups `json:"十八反"`
	}
}

type groups struct {
	Groups []struct{ A, B []string }
}

func run(dir string) error {
	var t tables
	for name, into := range map[string]any{"syndrome_rules_seed.json": &t.Rules, "formulas_szjg38_2.json": &t.Formulas,
		"herbs.json": &t.Herbs, "incompatibilities.json": &t.Pairs} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	out := sim.Clinic{Sources: []sim.Source{
		{File: "syndrome_rules_seed.json", What: "disease × syndrome → formula", Status: "background knowledge, for demonstration; not reviewed by a clinician"},
		{File: "formulas_szjg38_2.json", What: "ingredients of formulas", Version: "SZJG/T 38.2-2011", Status: "verified from a secondary source"},
		{File: "herbs.json", What: "daily doses", Version: "中国药典 2020 一部", Status: "verified from a secondary source; the 2025 edition is in force"},
		{File: "incompatibilities.json", What: "十八反", Status: "public domain rhymes, expanded to pharmacopoeia names"},
		{File: "samples/his_bsoft/MS_BRZD.csv", What: "TCM disease ↔ ICD-10 pairs", Status: "synthetic fixture with true codes"},
	}}
	t.cases(&out)
	for _, g := range t.Pairs.Eighteen.Groups {
		out.Eighteen = append(out.Eighteen, sim.Pair{A: g.A, B: g.B})
	}
	if err := western(filepath.Join(dir, "samples/his_bsoft/MS_BRZD.csv"), &out); err != nil {
		return err
	}
	return write(&out)
}

// cases keeps the rules whose formula and at least three dosed herbs are known.
func (t *tables) cases(out *sim.Clinic) {
	used := map[string]bool{}
	for _, r := range t.Rules.Rules {
		if r.SyndromeCode == "" || len(r.FormulaCode) == 0 {
			continue
		}
		c := sim.Case{Disease: r.Disease, DiseaseCode: r.DiseaseCode, Syndrome: r.Syndrome, SyndromeCode: r.SyndromeCode,
			Therapy: r.Therapy, Symptoms: r.KeySymptoms, Tongue: strings.Join(r.Tongue, "，"), Pulse: strings.Join(r.Pulse, "，")}
		for _, f := range t.Formulas.Formulas {
			if f.Code == r.FormulaCode[0] {
				c.Formula, c.Herbs = f.Name, t.known(f.Ingredients)
			}
		}
		if len(c.Herbs) < 3 {
			continue
		}
		for _, h := range c.Herbs {
			used[h] = true
		}
		out.Cases = append(out.Cases, c)
	}
	for _, extra := range []string{"附子", "甘遂", "甘草"} { // the planted peculiarities
		used[extra] = true
	}
	for _, h := range t.Herbs.Herbs {
		if used[h.Name] && h.Dose.MaxG > 0 {
			out.Herbs = append(out.Herbs, sim.Herb{Name: h.Name, MinG: h.Dose.MinG, MaxG: h.Dose.MaxG, Usage: h.Usage})
		}
	}
}

// known finds the dictionary name of each ingredient: as written, else without
// the words of processing in front.
func (t *tables) known(names []string) []string {
	var out []string
	for _, n := range names {
		for cut := range []rune(n) {
			short := string([]rune(n)[cut:])
			if len([]rune(short)) < 2 {
				break
			}
			if t.dosed(short) {
				if !slices.Contains(out, short) {
					out = append(out, short)
				}
				break
			}
		}
	}
	return out
}

func (t *tables) dosed(name string) bool {
	for _, h := range t.Herbs.Herbs {
		if h.Name == name {
			return h.Dose.MinG > 0 && math.Floor(h.Dose.MaxG) >= math.Ceil(h.Dose.MinG) // a whole number of grams
		}
	}
	return false
}

func western(file string, out *sim.Clinic) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return err
	}
	at := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
	icd := map[string][]string{}
	for _, row := range rows[1:] {
		if at(row, "ZDLB") == "1" {
			icd[at(row, "JZXH")] = []string{at(row, "ICD10"), at(row, "ZDMC")}
		}
	}
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		if w := icd[at(row, "JZXH")]; at(row, "ZDLB") == "2" && w != nil && !seen[at(row, "ICD10")] {
			seen[at(row, "ICD10")] = true
			out.Western = append(out.Western, sim.WesternName{Disease: at(row, "ICD10"), Code: w[0], Name: w[1]})
		}
	}
	return nil
}

func write(out *sim.Clinic) error {
	b, err := json.MarshalIndent(out, "", "")
	if err != nil {
		return err
	}
	fmt.Printf("%d cases, %d herbs, %d ICD-10 pairs\n", len(out.Cases), len(out.Herbs), len(out.Western))
	return os.WriteFile("internal/sim/data/clinic.json", append(b, '\n'), 0o644)
}
