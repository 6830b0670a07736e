package terminology

// tester decides single codes against one clause, with everything the clause
// refers to resolved.
type tester struct {
	clause  *clause
	cs      *codeSystem // the clause's system, nil if its content is not loaded
	grammar grammar     // the clause's system, if it is defined by a grammar
	matches []match     // compiled filters over cs
	refs    []*expansion
	missing bool // a value set referred to is not loaded
}

// has decides a code; an empty system asks for the code in whichever system the
// clause names.
func (t *tester) has(system, code string) Verdict {
	v := Yes
	if t.clause.system != "" {
		if system != "" && system != t.clause.system {
			return No
		}
		v = t.inSystem(code)
	}
	if t.missing {
		v = v.and(Unknown)
	}
	for _, ref := range t.refs {
		if v == No {
			return No
		}
		v = v.and(ref.has(system, code))
	}
	return v
}

func (t *tester) inSystem(code string) Verdict {
	if l := t.clause.listed; l != nil {
		if l.find(code) < 0 {
			return No
		}
		return Yes
	}
	if t.grammar != nil {
		if !t.grammar.valid(code) {
			return No
		}
		if len(t.clause.filters) > 0 {
			return Unknown
		}
		return Yes
	}
	if t.cs == nil {
		return Unknown
	}
	c := t.cs.find(code)
	if c < 0 {
		if t.cs.complete() {
			return No
		}
		return Unknown
	}
	for _, m := range t.matches {
		if !m(c) {
			return No
		}
	}
	return Yes
}

// newTester resolves a clause in st. depth bounds chains of value sets.
func (st *state) newTester(c *clause, depth int) (*tester, error) {
	t := &tester{clause: c}
	if c.system != "" {
		t.grammar = grammarOf(c.system)
		if t.grammar == nil {
			t.cs = st.codeSystem(c.system, c.version)
		}
		if t.cs != nil {
			for _, f := range c.filters {
				m, err := f.compile(t.cs)
				if err != nil {
					return nil, err
				}
				t.matches = append(t.matches, m)
			}
		}
	}
	for _, url := range c.valueSets {
		x, err := st.expansion(url, depth+1)
		if err != nil {
			return nil, err
		}
		if x == nil {
			t.missing = true
			continue
		}
		t.refs = append(t.refs, x)
	}
	return t, nil
}
