package his

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// hand is a clock that is set by hand.
type hand struct{ at time.Time }

func (h *hand) Now() time.Time { return h.at }

func launch(t *testing.T) (*hand, func(method, path string, form url.Values) *httptest.ResponseRecorder) {
	t.Helper()
	gin.SetMode(gin.TestMode)
	clk := &hand{time.Date(2026, 10, 12, 8, 0, 0, 0, time.UTC)}
	r := gin.New()
	NewLaunch(DefaultLaunch(), clk).Mount(r)
	return clk, func(method, path string, form url.Values) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		return w
	}
}

var address = regexp.MustCompile(`^_\(\["http://example.com(/his/launch\?ticket=ST-[0-9a-f]{40})"\]\)$`)

func TestLaunchOpensAPageOnce(t *testing.T) {
	clk, do := launch(t)
	form := url.Values{"resource": {"AE_EDIT"}, "jsonpCallback": {"_"}, "orgCode": {org}, "chisZggh": {"0101"}, "patientid": {"100001"}, "clinicId": {"443001"}}
	w := do("POST", "/his/pages", form)
	m := address.FindStringSubmatch(w.Body.String())
	if m == nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w = do("GET", m[1], nil)
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther || to.Path != "/cdss" || to.Query().Get("patient") != tcm.PatientID(org, "100001") ||
		to.Query().Get("encounter") != tcm.EncounterID(org, "443001") || to.Query().Get("practitioner") != tcm.PractitionerID(org, "0101") {
		t.Errorf("%d %v %v", w.Code, to, err)
	}
	if w := do("GET", m[1], nil); w.Code != http.StatusGone || !strings.Contains(w.Body.String(), "已用过") {
		t.Errorf("a second use: %d", w.Code)
	}
	m = address.FindStringSubmatch(do("POST", "/his/pages", form).Body.String())
	clk.at = clk.at.Add(2 * time.Minute)
	if w := do("GET", m[1], nil); w.Code != http.StatusGone {
		t.Errorf("an old ticket: %d", w.Code)
	}
}

func TestLaunch_bad(t *testing.T) {
	_, do := launch(t)
	for name, c := range map[string]struct {
		form url.Values
		code int
	}{
		"no page":  {url.Values{"resource": {"NOPE"}}, http.StatusNotFound},
		"callback": {url.Values{"resource": {"K_LOOK"}, "jsonpCallback": {"alert(1)//"}}, http.StatusBadRequest},
	} {
		if w := do("POST", "/his/pages", c.form); w.Code != c.code {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for _, service := range []string{"", "https://evil.example/", "//evil.example/x", "javascript:alert(1)"} {
		if w := do("GET", "/his/login?uid=1&service="+url.QueryEscape(service), nil); w.Code != http.StatusBadRequest {
			t.Errorf("service %q: %d %s", service, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestLoginGivesServicesAUser(t *testing.T) {
	_, do := launch(t)
	w := do("GET", "/his/login?uid=0101&service="+url.QueryEscape("/kb?x=1"), nil)
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusFound || to.Path != "/kb" || to.Query().Get("x") != "1" {
		t.Fatalf("%d %v", w.Code, to)
	}
	ask := "/his/serviceValidate?ticket=" + to.Query().Get("ticket") + "&service=" + url.QueryEscape("/kb?x=1")
	if w := do("GET", ask, nil); !strings.Contains(w.Body.String(), "<cas:user>0101</cas:user>") {
		t.Errorf("%s", w.Body)
	}
	if w := do("GET", ask, nil); !strings.Contains(w.Body.String(), "INVALID_TICKET") {
		t.Errorf("a second use: %s", w.Body)
	}
}
