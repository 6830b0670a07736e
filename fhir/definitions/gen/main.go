// Command gen writes fhir/definitions/r4.bin from the npm packages of HL7. Run it
// by `go generate ./fhir/definitions`; npm is needed only then.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fetch"
)

// The packages, in order of precedence. The examples package is the one that
// holds the R4 definitions as published, unchanged.
var packages = []fetch.Package{
	{Name: "hl7.fhir.r4.examples", Version: "4.0.1", Integrity: "sha512-DXBdIZOeQaSKIgCU7w6HOC7sw/6BzylmipLkBW4f//pT+Bc94x+8LImwTdvaNThPJoOzpBzvxAzNqjeu3X/zLw=="},
	{Name: "hl7.fhir.r4.expansions", Version: "4.0.1", Integrity: "sha512-E0LjAGKIEla9XdM98cOzE8fv+syczVSzzqjE/29rhK1jK52kSByzSM+dQuQM0j4BiBIpMwZydQnKHV11rV5IlQ=="},
	{Name: "hl7.terminology.r4", Version: "7.0.1", Integrity: "sha512-UamZUcARk/TEaJb7X0hDyANmC7bCv0Jof0u0uGIOB2O9VQX0uV45Vf4EyONHM6Sejv6q7sXEAzKAQsgw1Cld3A=="},
}

// kept are the resource types whose JSON goes into the file.
var kept = []string{"StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap", "SearchParameter",
	"CompartmentDefinition", "OperationDefinition", "NamingSystem"}

func main() {
	out := flag.String("o", "r4.bin", "file to write")
	only := flag.Bool("fetch", false, "only fetch the packages into the user's cache, as the tests need them")
	flag.Parse()
	if err := fetchAll(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
	if *only {
		return
	}
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// fetchAll gets the packages that are not in the cache.
func fetchAll() error {
	for _, p := range packages {
		if _, ok := p.Cached(); ok {
			continue
		}
		fmt.Fprintf(os.Stderr, "下载 npm 包 %s@%s …\n", p.Name, p.Version)
		if _, err := p.Folder(context.Background(), nil); err != nil {
			return err
		}
	}
	return nil
}

func run(out string) error {
	var sets []map[string][]fhir.Node // per package: by resource type, sorted by URL
	for _, p := range packages {
		dir, err := p.Folder(context.Background(), nil)
		if err != nil {
			return err
		}
		set, err := load(dir)
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
	core, expansions, thirdParty := sets[0], sets[1], sets[2]

	w := newWriter()
	w.uint(len(packages))
	for _, p := range packages {
		w.str(p.Name, p.Version, strings.TrimPrefix(p.Integrity, "sha512-"))
	}
	b := newBuilder()
	for _, sd := range core["StructureDefinition"] {
		if isType(sd) {
			b.add(sd)
		}
	}
	b.write(w)
	writeSearch(w, core["SearchParameter"])
	writeCompartments(w, core["CompartmentDefinition"])
	items := choose(core, expansions, thirdParty)
	blocks, err := writeConformance(w, items)
	if err != nil {
		return err
	}
	return os.WriteFile(out, pack(w.bytes(), blocks), 0o644)
}

// isType reports whether a StructureDefinition defines a type: not a profile,
// an extension or a logical model.
func isType(sd fhir.Node) bool {
	return sd.Get("derivation").Str() != "constraint" && sd.Get("kind").Str() != "logical"
}

// pack joins the parts into the file that definitions.Load reads.
func pack(model, blocks []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		panic(err) // constant options
	}
	defer z.Close()
	packed := z.EncodeAll(model, nil)
	body := binary.LittleEndian.AppendUint32(nil, uint32(len(packed)))
	body = append(append(body, packed...), blocks...)
	file := append([]byte("QHD1"), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(file[4:], crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(file, body...)
}

// load parses the conformance resources of an unpacked package.
func load(dir string) (map[string][]fhir.Node, error) {
	set := map[string][]fhir.Node{}
	for _, typ := range kept {
		files, err := filepath.Glob(filepath.Join(dir, typ+"-*.json"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			tree, err := fhir.Parse(data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
			if tree.Root().ResourceType() == typ {
				set[typ] = append(set[typ], tree.Root())
			}
		}
		slices.SortFunc(set[typ], func(a, b fhir.Node) int {
			return strings.Compare(a.Get("url").Str(), b.Get("url").Str())
		})
	}
	return set, nil
}
