package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
)

// browser is a page in Chromium.
type browser struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the page has reported, or asked others for
	expected []string // what it may report
}

// niced makes Chromium run with the lowest priority: what it draws with belongs to whoever
// watches, mostly on another machine.
func niced(t testing.TB) chromedp.ExecAllocatorOption {
	nice := orders.Tool(t, "nice", "apt-get install coreutils")
	return chromedp.ModifyCmdFunc(func(command *exec.Cmd) {
		command.Path, command.Args = nice, append([]string{nice, "-n", "19", command.Path}, command.Args[1:]...)
	})
}

// browse opens Chromium for the length of the test.
func browse(t testing.TB, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	chromium := orders.Tool(t, "chromium", "apt-get install chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-prefers-reduced-motion", true))
	options = append(options, more...)
	allocated, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocated)
	t.Cleanup(end)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, problem := range b.problems {
			t.Errorf("the page: %s", problem)
		}
	})
	return b
}

// listen notes errors of the page, and requests to anything but this machine.
func (b *browser) listen(event any) {
	problem := ""
	switch event := event.(type) {
	case *log.EventEntryAdded:
		problem = string(event.Entry.Level) + ": " + event.Entry.Text + " " + event.Entry.URL
	case *runtime.EventExceptionThrown:
		problem = fmt.Sprint(event.ExceptionDetails)
	case *page.EventJavascriptDialogOpening:
		problem = "it opens a dialog: " + event.Message
	case *network.EventRequestWillBeSent:
		if asked, err := url.Parse(event.Request.URL); err == nil && asked.Hostname() != "127.0.0.1" && asked.Scheme != "data" {
			problem = "it asks for " + event.Request.URL
		}
	}
	if problem == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, expected := range b.expected {
		if strings.Contains(problem, expected) {
			return
		}
	}
	b.problems = append(b.problems, problem)
}

func (b *browser) expect(problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, problem)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// screen sets how wide the page is, and its colours.
func (b *browser) screen(width int64, scheme string) {
	b.t.Helper()
	var as []chromedp.EmulateViewportOption
	if width < 500 {
		as = append(as, chromedp.EmulateMobile)
	}
	b.do(chromedp.EmulateViewport(width, 800, as...))
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
}

// run runs JavaScript, and returns its value.
func run[T any](b *browser, script string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// await waits until an expression of JavaScript is true.
func (b *browser) await(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !run[bool](b, "Boolean("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("it does not become true within %s: %s\n%s", patience, expression, tail(run[string](b, "document.body.innerText")))
		}
	}
}

func (b *browser) press(key string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(key))
}

// focused describes what has the focus: a selector, and its name.
const focused = `(() => { const e = document.activeElement; return e ? e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + " " + (e.getAttribute("aria-label") || e.textContent).trim().slice(0, 40) : ""; })()`

// visible reports whether the focus can be seen.
const visible = `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
	return e.matches(":focus-visible") && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && r.bottom > 0 && r.top < innerHeight && r.right > 0; })()`

// focusStyle is what decides whether the focus is visible.
const focusStyle = `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
	return [e.matches(":focus-visible"), s.outline, r.top, r.bottom, r.right, innerHeight].join("; "); })()`

// tabTo presses Tab until an element that matches has the focus. At each stop the focus must
// be visible.
func (b *browser) tabTo(selector string) {
	b.t.Helper()
	var passed []string
	for range 300 {
		b.press(kb.Tab)
		at := run[string](b, focused)
		if strings.HasPrefix(at, "body") {
			continue // the browser's own controls are between the end and the beginning
		}
		passed = append(passed, at)
		for deadline := time.Now().Add(time.Second); !run[bool](b, visible); { // the browser scrolls to it
			if time.Now().After(deadline) {
				b.t.Errorf("the focus can't be seen on %s: %s", at, run[string](b, focusStyle))
				break
			}
		}
		if run[bool](b, fmt.Sprintf("document.activeElement.matches(%s)", quote(selector))) {
			return
		}
	}
	b.t.Fatalf("Tab does not reach %s, but %s", selector, strings.Join(passed, "; "))
}

func quote(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// picture keeps a picture of the page, if CONSOLE_PICTURES names a folder.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("CONSOLE_PICTURES")
	if dir == "" {
		return
	}
	image, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// open opens the console at a view, and waits for what it shows.
func (b *browser) open(s *running, name string) {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(s.page+"#"+name))
	b.await(shown[name])
}

// view goes to another view, which was not shown before.
func (b *browser) view(name string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = ` + quote(name)))
	b.await(shown[name])
}

// shown are expressions that are true once a view shows something.
var shown = map[string]string{
	"events":    `document.querySelectorAll("#events tbody tr").length > 0`,
	"charts":    `document.querySelectorAll("#charts svg path.line").length > 0`,
	"consumers": `document.querySelectorAll("#consumers tbody tr").length > 0`,
	"dead":      `document.querySelectorAll("#dead-list details").length > 0`,
	"rejected":  `document.querySelectorAll("#rejected-list details").length > 0`,
	"schemas":   `document.querySelectorAll("#schemas-list details").length > 0`,
	"send":      `document.querySelector("#send-form button[type=submit]")`,
}
