package fhirpath

// Function is a function that an application adds to the language: it gets what
// it is called on and its arguments, all evaluated. It must not keep or change
// them.
type Function struct {
	Min, Max int // number of arguments
	Eval     func(ctx *Context, in Collection, args []Collection) (Collection, error)
}

// WithFunctions adds functions under names the language does not have; one that
// it has keeps its own meaning.
func WithFunctions(functions map[string]Function) Option {
	return func(e *Engine) {
		for name, fn := range functions {
			if _, taken := e.functions[name]; !taken {
				e.functions[name] = function{min: fn.Min, max: fn.Max, eval: fn.builtin()}
			}
		}
	}
}

func (fn Function) builtin() builtin {
	return func(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
		values := make([]Collection, len(args))
		for i, a := range args {
			b, err := f.collect(a)
			if err != nil {
				return nil, err
			}
			values[i] = b
		}
		out, err := fn.Eval(f.ctx, in, values)
		for _, b := range values {
			f.recycle(b)
		}
		if err != nil {
			return nil, err
		}
		return append(dst, out...), f.tick(1 + len(out))
	}
}
