package xmlread

// Limits bound what a document may ask for. The zero value refuses everything:
// start from Default.
type Limits struct {
	Size       int    // bytes, before and after decoding the charset
	Depth      int    // nested elements
	Attributes int    // of one element
	Tokens     int    // elements, texts, comments … of the document
	Charset    string // charset the transport stated; overrides the declaration; "" = none
}

// Default suits messages and resources: 64 MB (bodies of 50 MB pass, also after
// GBK became UTF-8), 200 deep (as JSON), 256 attributes, 20 million tokens.
func Default() Limits {
	return Limits{Size: 64 << 20, Depth: 200, Attributes: 256, Tokens: 20_000_000}
}
