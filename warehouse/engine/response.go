package engine

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// response writes one answer in ClickHouse's form.
type response struct {
	w       http.ResponseWriter
	request *request
	tag     string // names this response's exception block
	begun   bool   // the status has left
	out     io.WriteCloser
}

func newTag() string { return strings.ToLower(rand.Text()[:16]) }

// contentTypes of the formats that have one; others are plain text.
var contentTypes = map[string]string{
	"TabSeparated": "text/tab-separated-values; charset=UTF-8", "TSV": "text/tab-separated-values; charset=UTF-8",
	"CSV": "text/csv; charset=UTF-8; header=absent", "CSVWithNames": "text/csv; charset=UTF-8; header=present",
	"CSVWithNamesAndTypes":  "text/csv; charset=UTF-8; header=present",
	"TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8", "TSVWithNames": "text/tab-separated-values; charset=UTF-8",
	"TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8", "TSVWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8",
	"JSON": "application/json; charset=UTF-8", "JSONCompact": "application/json; charset=UTF-8", "JSONStrings": "application/json; charset=UTF-8",
	"JSONColumns": "application/json; charset=UTF-8", "JSONColumnsWithMetadata": "application/json; charset=UTF-8",
	"JSONObjectEachRow": "application/json; charset=UTF-8",
	"JSONEachRow":       "application/x-ndjson; charset=UTF-8", "JSONLines": "application/x-ndjson; charset=UTF-8", "NDJSON": "application/x-ndjson; charset=UTF-8",
	"JSONCompactEachRow": "application/x-ndjson; charset=UTF-8", "JSONStringsEachRow": "application/x-ndjson; charset=UTF-8",
	"JSONEachRowWithProgress": "application/x-ndjson; charset=UTF-8", "JSONCompactEachRowWithNamesAndTypes": "application/x-ndjson; charset=UTF-8",
	"XML": "application/xml; charset=UTF-8", "Markdown": "text/markdown; charset=UTF-8",
	"Native": "application/octet-stream", "RowBinary": "application/octet-stream", "RowBinaryWithNames": "application/octet-stream",
	"RowBinaryWithNamesAndTypes": "application/octet-stream", "Parquet": "application/octet-stream", "Arrow": "application/octet-stream",
	"ArrowStream": "application/octet-stream", "ORC": "application/octet-stream", "Avro": "application/octet-stream", "BSONEachRow": "application/octet-stream",
	"MsgPack": "application/octet-stream", "Protobuf": "application/octet-stream",
}

// begin sends the status and headers of a success.
func (r *response) begin(format string) error {
	h := r.w.Header()
	if format != "" {
		h.Set("X-ClickHouse-Format", format)
		h.Set("Content-Type", first(contentTypes[format], "text/plain; charset=UTF-8"))
	}
	h.Set("X-ClickHouse-Exception-Tag", r.tag)
	if r.request.encoding != "" {
		h.Set("Content-Encoding", r.request.encoding)
		h.Set("Vary", "Accept-Encoding")
	}
	out, err := encode(r.w, r.request.encoding, r.request.framing)
	if err != nil {
		return err
	}
	r.out, r.begun = out, true
	r.w.WriteHeader(http.StatusOK)
	return nil
}

// whole sends an answer that is complete.
func (r *response) whole(body []byte, format string, st stats, took time.Duration) error {
	r.summary(st, took)
	if len(body) == 0 {
		r.request.encoding = "" // nothing to encode
	}
	if err := r.begin(format); err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	if _, err := r.out.Write(body); err != nil {
		return errGone
	}
	return r.finish()
}

func (r *response) finish() error {
	if err := r.out.Close(); err != nil {
		return errGone
	}
	return nil
}

// summary tells the work done.
func (r *response) summary(st stats, took time.Duration) {
	r.w.Header().Set("X-ClickHouse-Summary", fmt.Sprintf(
		`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"0","result_rows":"%d","result_bytes":"0","elapsed_ns":"%d"}`,
		max(st.readRows, st.writtenRows), st.readBytes, st.writtenRows, st.writtenBytes, max(st.resultRows, st.writtenRows), took.Nanoseconds()))
	if r.request.progress {
		r.progress(fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"%d","elapsed_ns":"%d"}`,
			st.readRows, st.readBytes, st.writtenRows, st.writtenBytes, st.readRows, took.Nanoseconds()))
	}
}

func (r *response) progress(line string) { r.w.Header().Add("X-ClickHouse-Progress", line) }

// fail answers with an exception before anything else has left.
func (r *response) fail(e *Exception) {
	h := r.w.Header()
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	r.w.WriteHeader(e.status())
	_, _ = io.WriteString(r.w, e.Error()+"\n")
}

// breakOff ends an answer that has begun with an exception block, then cuts
// the connection so that no client takes it for whole.
func (r *response) breakOff(e *Exception) {
	text := e.Error() + "\n"
	_, _ = fmt.Fprintf(r.out, "\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n", r.tag, text, len(text), r.tag)
	_ = r.out.Close()
	if f, ok := r.w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}
