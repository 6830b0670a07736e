package table

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Kind is the kind of messages that carry rows: {"table":"MS_CF01","rows":[{…}]}.
const Kind = "rows"

// maxRows bounds the rows of one message.
const maxRows = 20_000

// Batch are rows of one table on their way in a message. Values are as the
// partner wrote them; "" is an absent value and left out.
type Batch struct {
	Table   string
	Columns []string
	Numbers []int // of each row, as Row.Number; nil when there is no file
	Rows    [][]string
	size    int
}

// Add copies a row's values into the batch.
func (b *Batch) Add(number int, values []string) {
	b.Numbers = append(b.Numbers, number)
	own := make([]string, len(values))
	copy(own, values)
	b.Rows = append(b.Rows, own)
	for _, v := range values {
		b.size += len(v) + 8
	}
}

// Size estimates the bytes of the batch's JSON.
func (b *Batch) Size() int { return b.size }

// JSON writes the body of a message of Kind.
func (b *Batch) JSON() []byte {
	names := make([][]byte, len(b.Columns))
	for i, c := range b.Columns {
		names[i] = append(fhir.AppendString(nil, c), ':')
	}
	out := append(make([]byte, 0, b.size+len(b.Rows)*len(b.Columns)*8+64), `{"table":`...)
	out = append(fhir.AppendString(out, b.Table), `,"rows":[`...)
	for i, row := range b.Rows {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '{')
		n := len(out)
		for j, v := range row {
			if v == "" || j >= len(names) {
				continue
			}
			if len(out) > n {
				out = append(out, ',')
			}
			out = fhir.AppendString(append(out, names[j]...), v)
		}
		out = append(out, '}')
	}
	out = append(out, ']')
	if len(b.Numbers) == len(b.Rows) && len(b.Rows) > 0 {
		out = append(out, `,"numbers":[`...)
		for i, n := range b.Numbers {
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendInt(out, int64(n), 10)
		}
		out = append(out, ']')
	}
	return append(out, '}')
}

// ReadBatch reads the body of a message of Kind: numbers and texts become
// texts, null an absent value. fault.Invalid with the place of what is wrong.
func ReadBatch(body []byte) (*Batch, error) {
	tree, err := fhir.Parse(body)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	rows := root.Get("rows")
	b := &Batch{Table: strings.TrimSpace(root.Get("table").Str())}
	if b.Table == "" {
		return nil, batchFault(tree, root, "table", "缺少 table（表名）")
	}
	if rows.Kind() != fhir.Array || rows.Len() > maxRows {
		return nil, batchFault(tree, root, "rows", "rows 应为数组，最多 "+strconv.Itoa(maxRows)+" 行")
	}
	index := map[string]int{}
	i := 0
	for row := range rows.Children() {
		if row.Kind() != fhir.Object {
			return nil, batchFault(tree, row, "rows["+strconv.Itoa(i)+"]", "每一行应为对象 {列: 值}")
		}
		values := make([]string, len(b.Columns), max(len(b.Columns), row.Len()))
		for c := range row.Children() {
			at, ok := index[c.Key()]
			if !ok {
				at = len(b.Columns)
				index[c.Key()] = at
				b.Columns = append(b.Columns, c.Key())
			}
			for len(values) <= at {
				values = append(values, "")
			}
			switch c.Kind() {
			case fhir.String, fhir.Number, fhir.Bool:
				values[at] = strings.TrimSpace(c.Str())
			case fhir.Null:
			default:
				return nil, batchFault(tree, c, "rows["+strconv.Itoa(i)+"]."+c.Key(), "值应为文本或数字")
			}
		}
		b.Rows = append(b.Rows, values)
		i++
	}
	for n := range root.Get("numbers").Children() {
		v, _ := n.Int()
		b.Numbers = append(b.Numbers, int(v))
	}
	return b, nil
}

func batchFault(tree *fhir.Tree, n fhir.Node, place, text string) error {
	line, col := tree.Position(n.Offset())
	return fault.New(fault.Invalid, "表格消息不符合格式").With(fault.Issue{Severity: "error", Code: "structure", Key: "table-batch",
		Text: text, Expression: place, Line: line, Col: col})
}

// Row returns row i as the codec's readers give it.
func (b *Batch) Row(i int) Row {
	index := make(map[string]int, len(b.Columns))
	for j, c := range b.Columns {
		index[strings.ToUpper(c)] = j
	}
	r := Row{Number: i + 1, Values: b.Rows[i], index: index}
	if i < len(b.Numbers) {
		r.Number = b.Numbers[i]
	}
	return r
}
