package console

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/qihuang-health/qihuang/web"
)

// TestBuilderInBrowser builds a search as a person does: choose a parameter, the
// fields follow its type, add the condition, open a match, compare its versions.
func TestBuilderInBrowser(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: page test skipped")
	}
	if _, err := web.Static().Open("vendor/htmx.min.js"); err != nil {
		t.Skip("htmx was not set up: page test skipped")
	}
	h, _, _ := operated(t)
	srv := httptest.NewServer(h)
	defer srv.Close()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1366, 1000))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/console/resources"), chromedp.Click(`a[href="/console/resources/Patient"]`), chromedp.WaitVisible(`select[name=p]`)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](`(() => { const s = document.querySelector('select[name=p]'); s.value = 'birthdate'; s.dispatchEvent(new Event('change', {bubbles: true})); return 1 })()`)); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.WaitVisible(`select[name=op]`), chromedp.SetValue(`select[name=op]`, "ge"), chromedp.SendKeys(`input[name=v]`, "1970-01-01"),
		chromedp.Click(`form.build button`), chromedp.WaitVisible(`.chip`), chromedp.Click(`td a[href="/console/resources/Patient/p1/history"]`), chromedp.WaitVisible(`table.diff`)); err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.Text("table.diff"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "李小明") || !strings.Contains(text, "李晓明") {
		t.Errorf("comparison: %s", text)
	}
}
