package machine

import (
	"encoding/binary"
	"encoding/json"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// The memory of a transaction id: uvarint offset; then 1 and the refusal as
// JSON, or 0, a count and the outcomes.

type refusal struct {
	Kind   fault.Kind    `json:"k"`
	Msg    string        `json:"m"`
	Issues []fault.Issue `json:"i,omitempty"`
}

const maxKeptIssues = 20

// remember writes what became of transaction id and the state row, and forgets
// the transaction that leaves the window.
func (m *Machine) remember(b *guarded, st *state, id string, outs []store.Outcome, err error) error {
	val := binary.AppendUvarint(nil, uint64(st.applied))
	if err != nil {
		issues := fault.IssuesOf(err)
		text, jerr := json.Marshal(refusal{fault.KindOf(err), err.Error(), issues[:min(len(issues), maxKeptIssues)]})
		if jerr != nil {
			return jerr
		}
		val = append(append(val, 1), text...)
	} else {
		val = appendOutcomes(append(val, 0), outs)
	}
	var key []byte
	if id != "" {
		key = txKey(key, id)
		if err := b.Set(key, val); err != nil {
			return err
		}
		key = txOrderKey(key, st.applied)
		if err := b.Set(key, []byte(id)); err != nil {
			return err
		}
	}
	if err := m.forget(b, st.applied-m.cfg.Window); err != nil {
		return err
	}
	return b.Set(stateKey, st.encode(val))
}

// forget drops the memory of the transaction applied at offset.
func (m *Machine) forget(b *guarded, offset int64) error {
	if offset < 0 {
		return nil
	}
	key := txOrderKey(nil, offset)
	id, ok, err := b.Get(nil, key)
	if err != nil || !ok {
		return err
	}
	if err := b.Delete(key); err != nil {
		return err
	}
	return b.Delete(txKey(key, string(id)))
}

func appendOutcomes(b []byte, outs []store.Outcome) []byte {
	b = binary.AppendUvarint(b, uint64(len(outs)))
	for _, o := range outs {
		b = binary.AppendUvarint(b, uint64(o.Status))
		if o.Version == nil {
			b = append(b, 0)
			continue
		}
		flag := byte(1)
		if o.Changed {
			flag = 2
		}
		b = append(b, flag)
		b = binary.AppendUvarint(b, uint64(o.Version.Version))
		b = append(binary.AppendUvarint(b, uint64(len(o.Version.Type))), o.Version.Type...)
		b = append(binary.AppendUvarint(b, uint64(len(o.Version.ID))), o.Version.ID...)
	}
	return b
}

// remembered returns the memory of a transaction id, from the latest state.
func (m *Machine) remembered(id string) (memory []byte, ok bool, err error) {
	return m.kv.Get(nil, txKey(nil, id))
}

// recall turns a memory into outcomes or the refusal; other errors are I/O.
func (m *Machine) recall(memory []byte) (offset int64, outs []store.Outcome, refused, err error) {
	damaged := fault.New(fault.Internal, "damaged memory of a transaction")
	r := rowReader{b: memory}
	offset = int64(r.uvarint())
	if r.bad || len(r.b) == 0 {
		return 0, nil, nil, damaged
	}
	kind := r.b[0]
	if r.b = r.b[1:]; kind == 1 {
		var f refusal
		if err := json.Unmarshal(r.b, &f); err != nil {
			return 0, nil, nil, damaged
		}
		return offset, nil, &fault.Error{Kind: f.Kind, Msg: f.Msg, Issues: f.Issues}, nil
	}
	v := m.kv.View()
	defer v.Close()
	outs = make([]store.Outcome, 0, 4)
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		o := store.Outcome{Status: int(r.uvarint())}
		if len(r.b) == 0 {
			return 0, nil, nil, damaged
		}
		flag := r.b[0]
		if r.b = r.b[1:]; flag != 0 {
			version := int64(r.uvarint())
			typ, id := string(r.bytes()), string(r.bytes())
			o.Changed = flag == 2
			if o.Version, err = readVersion(v, typ, id, version); fault.Is(err, fault.NotFound) {
				return offset, nil, gone(typ, id), nil // dropped since
			} else if err != nil {
				return 0, nil, nil, err
			}
		}
		outs = append(outs, o)
	}
	if r.bad {
		return 0, nil, nil, damaged
	}
	return offset, outs, nil, nil
}
