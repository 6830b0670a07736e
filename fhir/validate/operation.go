package validate

import (
	"context"
	"net/url"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Request is a call of $validate on a type or an instance
// (http://hl7.org/fhir/R4/resource-operation-validate.html).
type Request struct {
	Type, ID string     // of the address; ID is "" on the type
	Body     fhir.Node  // the posted resource, or Parameters with resource, mode, profile; absent on GET
	Query    url.Values // mode and profile may stand here too
	// Stored reads the instance as it is stored, for a call without a resource
	// and for mode delete; nil if there is none.
	Stored func() (fhir.Node, error)
}

// Operation runs $validate at the full level and returns the findings, of which
// the caller makes an OperationOutcome; the outcome is a success (200) even if
// the resource is not valid. Errors: fault.Invalid where the call itself is
// wrong.
func (v *Validator) Operation(ctx context.Context, r Request) ([]fault.Issue, error) {
	if v.refresh != nil {
		if err := v.refresh(ctx); err != nil {
			return nil, err
		}
	}
	res, mode, profiles, err := r.inputs()
	if err != nil {
		return nil, err
	}
	switch mode {
	case "", "create", "update", "profile":
	case "delete":
		return r.deletion()
	default:
		return nil, fault.New(fault.Invalid, "bad mode").With(fault.Issue{Severity: "error", Code: "value", Key: "validate-mode",
			Text: "mode 应为 create、update、delete 或 profile", TextEN: "mode must be create, update, delete or profile"})
	}
	if mode == "profile" && len(profiles) == 0 {
		return nil, missing("profile")
	}
	if !res.Exists() {
		if r.Stored == nil || r.ID == "" {
			return nil, missing("resource")
		}
		if res, err = r.Stored(); err != nil {
			return nil, err
		}
	}
	if rt := res.ResourceType(); r.Type != "" && rt != "" && rt != r.Type {
		return nil, fault.New(fault.Invalid, "another type").With(fault.Issue{Severity: "error", Code: "value", Key: "validate-type", Expression: rt,
			Text: "资源类型 " + rt + " 与地址中的 " + r.Type + " 不一致", TextEN: "the resource is a " + rt + " but the address says " + r.Type})
	}
	issues := v.Validate(ctx, res, Options{Level: Full, Profiles: profiles})
	return append(r.address(res, mode), issues...), nil
}

// inputs reads resource, mode and profiles from the body and the query.
func (r Request) inputs() (res fhir.Node, mode string, profiles []string, err error) {
	mode = r.Query.Get("mode")
	profiles = append(profiles, r.Query["profile"]...)
	res = r.Body
	if r.Body.ResourceType() != "Parameters" || r.Type == "Parameters" && !hasParameter(r.Body, "resource") {
		return res, mode, profiles, nil
	}
	res = fhir.Node{}
	for p := range r.Body.Get("parameter").Each() {
		switch p.Get("name").Str() {
		case "resource":
			if res = p.Get("resource"); !res.Exists() {
				return res, "", nil, missing("resource")
			}
		case "mode":
			mode = p.Get("valueCode").Str()
		case "profile":
			for _, k := range [...]string{"valueUri", "valueCanonical", "valueUrl"} {
				if s := p.Get(k).Str(); s != "" {
					profiles = append(profiles, s)
				}
			}
		}
	}
	return res, mode, profiles, nil
}

func hasParameter(body fhir.Node, name string) bool {
	for p := range body.Get("parameter").Each() {
		if p.Get("name").Str() == name {
			return true
		}
	}
	return false
}

// deletion says whether the instance could be deleted: it must be there.
func (r Request) deletion() ([]fault.Issue, error) {
	if r.ID == "" {
		return nil, fault.New(fault.Invalid, "mode delete is for instances").With(fault.Issue{Severity: "error", Code: "invalid", Key: "validate-mode",
			Text: "mode=delete 只能用于具体资源", TextEN: "mode delete is for instances only"})
	}
	if r.Stored != nil {
		_, err := r.Stored()
		return nil, err
	}
	return nil, nil
}

// address compares the resource's id with the address it was sent to.
func (r Request) address(res fhir.Node, mode string) []fault.Issue {
	id := res.Get("id")
	if r.ID == "" || id.Str() == r.ID || !id.Exists() && mode != "update" {
		return nil
	}
	line, col := res.Tree().Position(id.Offset())
	return []fault.Issue{{Severity: "error", Code: "value", Key: "validate-id", Expression: res.ResourceType() + ".id", Line: line, Col: col,
		Text: "资源的 id 与地址中的 " + r.ID + " 不一致", TextEN: "the resource's id differs from " + r.ID + " in the address"}}
}

func missing(name string) *fault.Error {
	return fault.New(fault.Invalid, "missing parameter %s", name).With(fault.Issue{Severity: "error", Code: "required", Key: "parameter-missing",
		Text: "缺少参数：" + name, TextEN: "missing parameter: " + name})
}
