package fhir

import "testing"

func TestStamp(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`{"resourceType":"Patient"}`, `{"resourceType":"Patient","id":"a","meta":{"versionId":"2","lastUpdated":"T"}}`},
		{`{"resourceType":"Patient", "id":"b" ,"x":1.00}`, `{"resourceType":"Patient", "id":"a","meta":{"versionId":"2","lastUpdated":"T"} ,"x":1.00}`},
		{`{"meta":{"versionId":"9","tag":[]},"resourceType":"Patient","id":"a"}`, `{"meta":{"lastUpdated":"T","versionId":"2","tag":[]},"resourceType":"Patient","id":"a"}`},
		{`{"meta":{},"resourceType":"P"}`, `{"meta":{"versionId":"2","lastUpdated":"T"},"resourceType":"P","id":"a"}`},
		{`{}`, `{"id":"a","meta":{"versionId":"2","lastUpdated":"T"}}`},
	} {
		tree, err := Parse([]byte(c.src))
		if err != nil {
			t.Fatal(err)
		}
		got := string(Stamp(tree.Root(), "a", "2", "T"))
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.src, got, c.want)
		}
		if _, err := Parse([]byte(got)); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestEdits(t *testing.T) {
	src := `{ "a": [1, 2 ,3], "b": {"c": "x"} }`
	tree, err := Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	r := tree.Root()
	a, b := r.Get("a"), r.Get("b")
	for _, c := range []struct {
		e    Edit
		want string
	}{
		{Remove(a, a.At(0)), `{ "a": [2 ,3], "b": {"c": "x"} }`},
		{Remove(a, a.At(1)), `{ "a": [1 ,3], "b": {"c": "x"} }`},
		{Remove(a, a.At(2)), `{ "a": [1, 2], "b": {"c": "x"} }`},
		{Remove(r, a), `{ "b": {"c": "x"} }`},
		{Remove(r, b), `{ "a": [1, 2 ,3] }`},
		{Remove(b, b.Get("c")), `{ "a": [1, 2 ,3], "b": {} }`},
		{InsertItem(a, 0, []byte("0")), `{ "a": [0,1, 2 ,3], "b": {"c": "x"} }`},
		{InsertItem(a, 3, []byte("4")), `{ "a": [1, 2 ,3,4], "b": {"c": "x"} }`},
		{SetMember(b, "d", []byte("null")), `{ "a": [1, 2 ,3], "b": {"c": "x","d":null} }`},
		{SetMember(b, "c", []byte("7")), `{ "a": [1, 2 ,3], "b": {"c": 7} }`},
	} {
		if got := string(Splice([]byte(src), c.e)); got != c.want {
			t.Errorf("got %s want %s", got, c.want)
		}
	}
}

func TestParseReference(t *testing.T) {
	for s, want := range map[string]Reference{
		"Patient/1":                             {Kind: RefRelative, Type: "Patient", ID: "1"},
		"Patient/1/_history/3":                  {Kind: RefRelative, Type: "Patient", ID: "1", Version: "3"},
		"http://h/fhir/Patient/1":               {Kind: RefAbsolute, Base: "http://h/fhir", Type: "Patient", ID: "1"},
		"https://h:8/Patient/a.b-C/_history/2":  {Kind: RefAbsolute, Base: "https://h:8", Type: "Patient", ID: "a.b-C", Version: "2"},
		"http://h/fhir/ValueSet/x_y":            {Kind: RefURL},
		"http://Patient/1":                      {Kind: RefURL},
		"urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee": {Kind: RefURN},
		"#p1":                                   {Kind: RefContained, Fragment: "p1"},
		"#":                                     {Kind: RefContained},
		"Patient?identifier=a|b":                {Kind: RefConditional, Type: "Patient", Query: "identifier=a|b"},
		"patient/1":                             {},
		"Patient":                               {},
		"Patient/1/2":                           {},
		"a/Patient/1":                           {},
		"":                                      {},
		"Patient/1#x":                           {Kind: RefRelative, Type: "Patient", ID: "1", Fragment: "x"},
	} {
		want.Text = s
		if got := ParseReference(s); got != want {
			t.Errorf("%q: %+v, want %+v", s, got, want)
		}
	}
}

func TestParseCanonical(t *testing.T) {
	for _, s := range []string{"http://a/b|1.0#x", "http://a/b", "http://a/b|1", "#x", "u#f"} {
		if got := ParseCanonical(s).String(); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if c := ParseCanonical("http://a|2#z"); c != (Canonical{"http://a", "2", "z"}) {
		t.Errorf("%+v", c)
	}
}

func FuzzReference(f *testing.F) {
	f.Add("http://h/fhir/Patient/1/_history/2#a")
	f.Add("Patient?a=b|c#d")
	f.Fuzz(func(t *testing.T, s string) {
		r := ParseReference(s)
		if r.Kind == RefAbsolute && ParseReference(r.Relative()).Kind != RefRelative {
			t.Errorf("%q: %+v", s, r)
		}
		ParseCanonical(s)
	})
}
