package bulk

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// input is one file or URL to load.
type input struct {
	name  string // path or URL
	size  int64  // bytes, 0 if not known
	stamp string // changes when the content does
	rows  bool   // NDJSON whatever its name says, as the files of a manifest
}

// listInputs turns files, folders and URLs into inputs. Folders are walked;
// what is neither JSON nor NDJSON (also gzipped) is left out there. Those that
// others refer to (hospitals and practitioners of Synthea) come first.
func listInputs(args []string) ([]input, error) {
	var list []input
	for _, arg := range args {
		if isURL(arg) {
			list = append(list, input{name: arg})
			continue
		}
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() || path != arg && !loadable(path) {
				return nil
			}
			st, err := d.Info()
			if err != nil {
				return err
			}
			list = append(list, input{name: path, size: st.Size(), stamp: strconv.FormatInt(st.ModTime().UnixNano(), 36)})
			return nil
		})
		if err != nil {
			return nil, fault.New(fault.NotFound, "list inputs: %w", err)
		}
	}
	slices.SortStableFunc(list, func(a, b input) int { return a.rank() - b.rank() })
	return list, nil
}

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

func loadable(path string) bool {
	name := strings.TrimSuffix(strings.ToLower(path), ".gz")
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".ndjson")
}

// rank orders inputs: 0 must be in before the rest is sent.
func (in input) rank() int {
	base := filepath.Base(in.name)
	if strings.HasPrefix(base, "hospitalInformation") || strings.HasPrefix(base, "practitionerInformation") {
		return 0
	}
	return 1
}

// lines reports whether the input is NDJSON by its name.
func (in input) lines() bool {
	name, _, _ := strings.Cut(strings.ToLower(in.name), "?")
	return in.rows || strings.HasSuffix(strings.TrimSuffix(name, ".gz"), ".ndjson")
}

// open opens the input, unzipping .gz.
func (in input) open(ctx context.Context, client *http.Client) (io.ReadCloser, error) {
	var rc io.ReadCloser
	if isURL(in.name) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.name, nil)
		if err != nil {
			return nil, fault.New(fault.Invalid, "open %s: %w", in.name, err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "open %s: %w", in.name, err)
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, fault.New(fault.NotFound, "open %s: %s", in.name, resp.Status)
		}
		rc = resp.Body
	} else {
		f, err := os.Open(in.name)
		if err != nil {
			return nil, fault.New(fault.NotFound, "open: %w", err)
		}
		rc = f
	}
	if !strings.HasSuffix(in.name, ".gz") {
		return rc, nil
	}
	z, err := gzip.NewReader(rc)
	if err != nil {
		rc.Close()
		return nil, fault.New(fault.Invalid, "open %s: %w", in.name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, rc}, nil
}

// chunk is one request's worth of an input.
type chunk struct {
	in    input
	first int    // row (line, entry) of the first resource, 1-based
	rows  []int  // row of each entry of body
	body  []byte // Bundle to POST to the base
}

// key names the chunk in the state file.
func (c *chunk) key() string {
	return fmt.Sprintf("%s|%d|%s|%d", c.in.name, c.in.size, c.in.stamp, c.first)
}

// chunks reads an input and gives its chunks to emit. refuse gets rows that
// cannot be sent at all.
func (l *Loader) chunks(ctx context.Context, in input, emit func(*chunk) error, refuse func(RowError)) error {
	rc, err := in.open(ctx, l.client)
	if err != nil {
		return err
	}
	defer rc.Close()
	if in.lines() {
		return l.lineChunks(in, rc, emit, refuse)
	}
	data, err := io.ReadAll(rc)
	if err != nil {
		return fault.New(fault.Invalid, "read %s: %w", in.name, err)
	}
	tree, err := fhir.Parse(data)
	if err != nil {
		return err
	}
	root := tree.Root()
	if root.ResourceType() == "" && root.Get("output").Kind() == fhir.Array {
		return l.manifestChunks(ctx, root, emit, refuse)
	}
	return l.documentChunks(in, root, emit, refuse)
}

// manifestChunks loads the files that the manifest of a bulk export lists, then
// what it lists as deleted. A file that cannot be fetched is an error of its own.
func (l *Loader) manifestChunks(ctx context.Context, root fhir.Node, emit func(*chunk) error, refuse func(RowError)) error {
	for _, part := range []string{"output", "deleted"} {
		for o := range root.Get(part).Each() {
			in := input{name: o.Get("url").Str(), rows: true}
			if !isURL(in.name) {
				refuse(RowError{File: in.name, Message: "清单中的地址不是 URL (not a URL)"})
				continue
			}
			if err := l.chunks(ctx, in, emit, refuse); err != nil {
				if ctx.Err() != nil {
					return err
				}
				refuse(RowError{File: in.name, Message: err.Error()})
			}
		}
	}
	return nil
}

// documentChunks sends a transaction or batch as it is, and puts the resources
// of any other Bundle, or a single one, under their own ids.
func (l *Loader) documentChunks(in input, root fhir.Node, emit func(*chunk) error, refuse func(RowError)) error {
	typ := root.Get("type").Str()
	if root.ResourceType() == "Bundle" && (typ == "transaction" || typ == "batch") {
		c := &chunk{in: in, first: 1, body: root.Tree().Source()}
		for i := range root.Get("entry").Len() {
			c.rows = append(c.rows, i+1)
		}
		return emit(c)
	}
	p := l.packer(in, emit)
	if root.ResourceType() == "Bundle" && typ != "document" && typ != "message" {
		row := 0
		for e := range root.Get("entry").Children() {
			row++
			if err := p.add(row, e.Get("resource"), refuse); err != nil {
				return err
			}
		}
		return p.flush()
	}
	if err := p.add(1, root, refuse); err != nil {
		return err
	}
	return p.flush()
}

// maxLine bounds one NDJSON line in bytes: the largest body the server takes.
const maxLine = 50 << 20

func (l *Loader) lineChunks(in input, r io.Reader, emit func(*chunk) error, refuse func(RowError)) error {
	p := l.packer(in, emit)
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 1<<20), maxLine)
	row := 0
	for sc.Scan() {
		row++
		line := bytes.TrimSpace(sc.Bytes())
		if len(line) == 0 {
			continue
		}
		tree, err := fhir.Parse(line)
		if err != nil {
			refuse(RowError{File: in.name, Row: row, Message: err.Error()})
			continue
		}
		if root := tree.Root(); root.ResourceType() == "Bundle" && root.Get("type").Str() == "transaction" { // what a manifest lists as deleted
			err = emit(&chunk{in: in, first: row, rows: []int{row}, body: bytes.Clone(line)})
		} else {
			err = p.add(row, root, refuse)
		}
		if err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		refuse(RowError{File: in.name, Row: row + 1, Message: err.Error()})
	}
	return p.flush()
}

// packer fills batch bundles with resources under their own ids.
type packer struct {
	in   input
	max  int
	emit func(*chunk) error
	cur  *chunk
}

func (l *Loader) packer(in input, emit func(*chunk) error) *packer {
	return &packer{in: in, max: l.cfg.Chunk, emit: emit}
}

// maxChunk is the size in bytes at which a bundle is sent even if it has few entries.
const maxChunk = 8 << 20

func (p *packer) add(row int, res fhir.Node, refuse func(RowError)) error {
	typ, id := res.ResourceType(), res.Get("id").Str()
	if typ == "" {
		refuse(RowError{File: p.in.name, Row: row, Message: "缺少 resourceType (no resourceType)"})
		return nil
	}
	if p.cur == nil {
		p.cur = &chunk{in: p.in, first: row, body: []byte(`{"resourceType":"Bundle","type":"batch","entry":[`)}
	} else {
		p.cur.body = append(p.cur.body, ',')
	}
	b := append(p.cur.body, `{"resource":`...)
	b = append(b, res.Raw()...)
	method, url := "POST", typ
	if id != "" {
		method, url = "PUT", typ+"/"+id
	}
	b = append(b, `,"request":{"method":"`+method+`","url":`...)
	p.cur.body = append(fhir.AppendString(b, url), `}}`...)
	p.cur.rows = append(p.cur.rows, row)
	if len(p.cur.rows) >= p.max || len(p.cur.body) >= maxChunk {
		return p.flush()
	}
	return nil
}

func (p *packer) flush() error {
	if p.cur == nil {
		return nil
	}
	c := p.cur
	p.cur = nil
	c.body = append(c.body, "]}"...)
	return p.emit(c)
}
