package fhirpath

// Existence, filtering, subsetting, combining: N1 chapters 5.1 to 5.4.

func fnEmpty(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	return appendBool(dst, len(in) == 0), nil
}

func appendBool(dst []Item, b bool) []Item { return append(dst, Item{val: Boolean(b)}) }

func fnExists(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	if len(args) == 0 {
		return appendBool(dst, len(in) > 0), nil
	}
	t, err := f.any(in, args[0], yes)
	return appendBool(dst, t), err
}

// any reports whether the criterion is t for one of the items.
func (f *frame) any(in []Item, criterion op, t truth) (found bool, err error) {
	err = f.each(in, func(int) error {
		if found {
			return nil
		}
		got, err := f.truth(criterion)
		found = got == t
		return err
	})
	return found, err
}

func fnAll(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	ok := true
	err := f.each(in, func(int) error {
		if !ok {
			return nil
		}
		t, err := f.truth(args[0])
		ok = t == yes
		return err
	})
	return appendBool(dst, ok), err
}

// quantifier makes allTrue(), anyTrue(), allFalse(), anyFalse().
func quantifier(want bool, all bool) builtin {
	return func(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
		result := all
		for i := range in {
			v, ok := in[i].Value()
			if !ok || v.kind != KindBoolean {
				return nil, evalError("a collection of booleans is expected, not of %s", in[i].Type())
			}
			if hit := (v.n != 0) == want; hit != all {
				result = !all
			}
		}
		return appendBool(dst, result), nil
	}
}

func fnSubsetOf(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	b, err := f.collect(args[0])
	if err != nil {
		return nil, err
	}
	ok, err := f.covers(b, in)
	f.recycle(b)
	return appendBool(dst, ok), err
}

func fnSupersetOf(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	b, err := f.collect(args[0])
	if err != nil {
		return nil, err
	}
	ok, err := f.covers(in, b)
	f.recycle(b)
	return appendBool(dst, ok), err
}

// covers reports whether every item of part is in whole.
func (f *frame) covers(whole, part []Item) (bool, error) {
	var s set
	for i := range whole {
		s.add(whole[:i+1])
	}
	for i := range part {
		if !s.has(f, whole, &part[i]) {
			return false, f.tick(i)
		}
	}
	return true, f.tick(len(whole) + len(part))
}

func fnCount(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	return append(dst, Item{val: Integer(int64(len(in)))}), nil
}

func fnDistinct(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	return f.distinct(in, dst)
}

func fnIsDistinct(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	b, err := f.distinct(in, f.buffer())
	n := len(b)
	f.recycle(b)
	return appendBool(dst, n == len(in)), err
}

func fnWhere(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	err := f.each(in, func(i int) error {
		t, err := f.truth(args[0])
		if t == yes {
			dst = append(dst, in[i])
		}
		return err
	})
	return dst, err
}

func fnSelect(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	err := f.each(in, func(int) error {
		out, err := args[0].eval(f, dst)
		if err == nil {
			dst, err = out, f.grown(out)
		}
		return err
	})
	return dst, err
}

// fnRepeat evaluates its projection on its own results until nothing new comes.
func fnRepeat(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	var s set
	base := len(dst)
	queue := append([]Item(nil), in...)
	b := f.buffer()
	for len(queue) > 0 {
		b = b[:0]
		err := f.each(queue, func(int) error {
			out, err := args[0].eval(f, b)
			if err == nil {
				b, err = out, f.grown(out)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		queue = queue[:0]
		for i := range b {
			if !s.has(f, dst[base:], &b[i]) {
				dst = append(dst, b[i])
				s.add(dst[base:])
				queue = append(queue, b[i])
			}
		}
		if err := f.grown(dst); err != nil {
			return nil, err
		}
	}
	f.recycle(b)
	return dst, nil
}

// fnRepeatAll is repeat() without the test for what was seen already.
func fnRepeatAll(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	queue := append([]Item(nil), in...)
	for len(queue) > 0 {
		next, err := fnSelect(f, queue, args, nil)
		if err != nil {
			return nil, err
		}
		dst = append(dst, next...)
		if err := f.grown(dst); err != nil {
			return nil, err
		}
		queue = next
	}
	return dst, nil
}

func fnSingle(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	if len(in) > 1 {
		return nil, evalError("single() found %d items", len(in))
	}
	return append(dst, in...), nil
}

func fnFirst(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	return append(dst, in[:min(1, len(in))]...), nil
}

func fnLast(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	return append(dst, in[max(0, len(in)-1):]...), nil
}

func fnTail(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	return append(dst, in[min(1, len(in)):]...), nil
}

func fnSkip(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	n, ok, err := f.integer(args[0], "skip()")
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, in[min(max(0, n), int64(len(in))):]...), nil
}

func fnTake(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	n, ok, err := f.integer(args[0], "take()")
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, in[:min(max(0, n), int64(len(in)))]...), nil
}

func fnIntersect(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	return f.sift(in, args[0], dst, true)
}

func fnExclude(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	return f.sift(in, args[0], dst, false)
}

// sift keeps the items that are in the other collection (distinct), or those
// that are not (duplicates and order kept).
func (f *frame) sift(in []Item, other op, dst []Item, common bool) ([]Item, error) {
	b, err := f.collect(other)
	if err != nil {
		return nil, err
	}
	var s, seen set
	for i := range b {
		s.add(b[:i+1])
	}
	base := len(dst)
	for i := range in {
		if s.has(f, b, &in[i]) != common || common && seen.has(f, dst[base:], &in[i]) {
			continue
		}
		dst = append(dst, in[i])
		seen.add(dst[base:])
	}
	n := len(b) + len(in)
	f.recycle(b)
	return dst, f.tick(n)
}

func fnUnion(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	b, err := args[0].eval(f, append(f.buffer(), in...))
	if err == nil {
		dst, err = f.distinct(b, dst)
	}
	f.recycle(b)
	return dst, err
}

func fnCombine(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	dst, err := args[0].eval(f, append(dst, in...))
	if err != nil {
		return nil, err
	}
	return dst, f.grown(dst)
}
