package mapping

import (
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// Ops turns what a map wrote into the operations of one transaction, given what
// the repository holds. received is when the message arrived: with the map's
// business time it orders what is written, so that an old message never undoes
// a newer one.
func (o *Result) Ops(snap store.Snapshot, received time.Time) ([]store.Op, error) {
	at := ""
	if o.timed {
		business, err := time.Parse(time.RFC3339Nano, o.Time)
		if err != nil {
			business = received
		}
		at = Newer(business, received)
	}
	ops := make([]store.Op, 0, len(o.Resources))
	for _, r := range o.Resources {
		op, ok, err := r.op(snap, at)
		if err != nil {
			return nil, err
		}
		if ok {
			ops = append(ops, op)
		}
	}
	return ops, nil
}

func (r *Resource) op(snap store.Snapshot, at string) (op store.Op, ok bool, err error) {
	if typ, id, found := strings.Cut(r.Unless, "/"); found {
		if _, version, err := store.Current(snap, typ, id); err != nil || version > 0 {
			return op, false, err
		}
	}
	op = store.Op{Method: store.Update, Type: r.Type, ID: r.ID, IfNewer: at, SkipSame: true, Resource: r.Body}
	if r.Condition != "" {
		op.Condition, op.IfNewer = r.Condition, ""
		if r.Write == CreateOnly {
			op.Method, op.Condition, op.IfNoneExist = store.Create, "", r.Condition
		}
		return op, true, nil
	}
	if r.Write == Replace {
		return op, true, nil
	}
	old, version, err := store.Current(snap, r.Type, r.ID)
	if err != nil {
		return op, false, err
	}
	exists := version > 0
	switch r.Write {
	case Delete:
		return store.Op{Method: store.Delete, Type: r.Type, ID: r.ID}, exists, nil
	case CreateOnly:
		return op, !exists, nil
	case Merge:
		if exists {
			op.Resource, err = merge(old, r.Body)
		}
	}
	return op, true, err
}

// merge adds to a resource the elements that only the old one has. Of
// identifiers and extensions those of other systems and urls are kept, too. A
// gender of unknown says nothing.
func merge(old fhir.Node, body []byte) ([]byte, error) {
	tree, err := fhir.Parse(body)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	var edits []fhir.Edit
	for m := range old.Children() {
		key := m.Key()
		now := root.Get(key)
		switch {
		case key == "resourceType" || key == "id" || key == "meta" || key == "text":
		case !now.Exists():
			edits = append(edits, fhir.SetMember(root, key, m.Raw()))
		case key == "gender" && now.Str() == "unknown":
			edits = append(edits, fhir.Replace(now, m.Raw()))
		case key == "identifier" || key == "extension":
			edits = append(edits, union(now, m, key)...)
		}
	}
	return fhir.Splice(body, edits...), nil
}

// union appends the items of the old list whose system (url) the new one lacks.
func union(now, old fhir.Node, key string) []fhir.Edit {
	name := "system"
	if key == "extension" {
		name = "url"
	}
	has := map[string]bool{}
	for x := range now.Each() {
		has[x.Get(name).Str()] = true
	}
	var edits []fhir.Edit
	for x := range old.Each() {
		if !has[x.Get(name).Str()] {
			edits = append(edits, fhir.InsertItem(now, now.Len(), x.Raw()))
		}
	}
	return edits
}

// Newer makes the instant for [store.Op.IfNewer]: it orders by business time (to
// the second), then by arrival, which stands in the microseconds: the delay to
// the second for nine days, beyond that more coarsely.
func Newer(business, received time.Time) string {
	const day, fine = 86_400, 800_000
	if business.After(received) {
		business = received // a clock that is ahead must not block what follows
	}
	business = business.Truncate(time.Second)
	delay := max(int64(received.Sub(business).Seconds())+day, 0)
	if delay > fine {
		delay = min(fine+(delay-fine)/1000, 999_999)
	}
	return business.Add(time.Duration(delay) * time.Microsecond).UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}
