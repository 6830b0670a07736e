// Command gen writes adapters/cda/data/templates.json: the 53 documents of
// WS/T 500-2016 with their sections and data elements, from tables of public
// facts (identifiers, codes, names; no prose of the standards).
//
//	go run ./adapters/cda/gen -from DIR -to adapters/cda/data/templates.json
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	from := flag.String("from", "", "folder with the tables of facts")
	to := flag.String("to", "adapters/cda/data/templates.json", "file to write")
	flag.Parse()
	b, err := generate(*from)
	if err == nil {
		err = os.WriteFile(*to, b, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// catalogue is the file that package cda embeds.
type catalogue struct {
	Meta      map[string]string `json:"_meta"`
	Roots     map[string]string `json:"roots"`
	Tables    []table           `json:"tables"`
	Dataset   []dataset         `json:"datasets"`
	Templates []template        `json:"templates"`
}

type table struct {
	OID    string            `json:"oid"`
	Name   string            `json:"name"`
	Status string            `json:"status"`
	Codes  map[string]string `json:"codes,omitempty"` // nil: the codes are not known to us
}

type dataset struct {
	Name     string        `json:"name"`
	Elements []dataElement `json:"elements"`
}

type dataElement struct {
	ID     string `json:"id,omitempty"`
	DE     string `json:"de"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Format string `json:"format"`
}

type template struct {
	Code     string    `json:"code"`
	Title    string    `json:"title"`
	Template string    `json:"template"`
	Part     string    `json:"part"`
	Dataset  string    `json:"dataset,omitempty"`
	Sections []section `json:"sections"`
}

type section struct {
	Code     string    `json:"code,omitempty"`
	Display  string    `json:"display"`
	Title    string    `json:"title"`
	Elements []element `json:"elements"`
}

type element struct {
	DE     string `json:"de"`
	Name   string `json:"name"`
	Type   string `json:"type"` // of CDA: ST CD PQ BL TS MO
	Format string `json:"format,omitempty"`
	Table  string `json:"table,omitempty"` // OID of the code system
	Unit   string `json:"unit,omitempty"`
}

func generate(from string) ([]byte, error) {
	var in sources
	if err := in.load(from); err != nil {
		return nil, err
	}
	out := catalogue{Meta: map[string]string{
		"source": "WS/T 500.1~53-2016（由公开实现核对的模板号、章节、数据元）；WS 445.1~17-2014（数据元的类型与格式）；值域代码表见各表 status",
		"status": in.Docs.Meta.Status,
		"placement": "数据元在章节中的位置由出现顺序与名称推得（adapters/cda/gen/place.go），未逐条对照印刷本；" +
			"校验因此只看数据元是否属于模板，不看它在哪一节"},
		Roots: in.roots(), Tables: in.tables(), Dataset: in.datasets()}
	for _, d := range in.Docs.Documents {
		out.Templates = append(out.Templates, in.template(d))
	}
	return layout(out)
}

// layout writes one template, table or data set per line, for readable diffs.
func layout(c catalogue) ([]byte, error) {
	var b bytes.Buffer
	head, err := json.Marshal(c.Meta)
	if err != nil {
		return nil, err
	}
	roots, err := json.Marshal(c.Roots)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "{\"_meta\":%s,\n\"roots\":%s", head, roots)
	lines := func(name string, n int, at func(int) any) {
		fmt.Fprintf(&b, ",\n%q:[", name)
		for i := range n {
			if i > 0 {
				b.WriteString(",")
			}
			line, merr := json.Marshal(at(i))
			err = firstError(err, merr)
			b.WriteString("\n")
			b.Write(line)
		}
		b.WriteString("]")
	}
	lines("tables", len(c.Tables), func(i int) any { return c.Tables[i] })
	lines("datasets", len(c.Dataset), func(i int) any { return c.Dataset[i] })
	lines("templates", len(c.Templates), func(i int) any { return c.Templates[i] })
	b.WriteString("}\n")
	return b.Bytes(), err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// read decodes one table of facts.
func read(dir, name string, into any) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
