package console

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/receiver/gen/receiverpb"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// served is a server with something in all views.
func served(t testing.TB) *running {
	t.Helper()
	s := start(t, prepare(t), "--keep-rejected", "sqlite:"+filepath.Join(t.TempDir(), "rejected.db"))
	for _, subject := range []string{"jerry", "ann", "bob"} {
		s.receive(t, "app.install", subject)
	}
	if _, err := s.client.Receive(t.Context(), &receiverpb.Event{Appid: markup + strings.Repeat("x", 1024), Xwho: ansi}); err == nil {
		t.Fatal("an event with a source that is too long is taken")
	}
	return s
}

// TestEverythingIsText looks for what events hold in all views, as text.
func TestEverythingIsText(t *testing.T) {
	s, b := served(t), browse(t)
	b.screen(1280, "light")
	safe := func(where string) {
		t.Helper()
		if run[bool](b, "Boolean(window.attacked)") {
			t.Errorf("%s: a text of an event was run", where)
		}
		if n := run[int](b, `document.querySelectorAll("main img, main script, dialog img, dialog script").length`); n != 0 {
			t.Errorf("%s: a text of an event became %d elements", where, n)
		}
		if run[bool](b, `/[\u001b\u202e]/.test(document.body.innerText)`) {
			t.Errorf("%s: a control character is in the page", where)
		}
	}
	contains := func(where, selector string, texts ...string) {
		t.Helper()
		all := run[string](b, fmt.Sprintf("document.querySelector(%s).textContent", quote(selector)))
		for _, text := range texts {
			if !strings.Contains(all, text) {
				t.Errorf("%s: %q is not in %q", where, text, all)
			}
		}
		safe(where)
	}
	const shownANSI, shownReversed = `\x1b[31mred\x1b[0m`, `user\u202etxt.exe\nsecond line`
	b.open(s, "events")
	contains("events", "#events", markup+shownANSI, shownReversed)
	b.do(chromedp.Click(`#events tbody tr:last-child button`))
	b.await(`document.querySelector("#event pre")`)
	contains("an event", "#event-body", markup+shownANSI, shownReversed, "0af7651916cd43dd8448eb211c80319c", `\u001b[31mred`, `"amount": 12.5`)
	for name, texts := range map[string][]string{"dead": {markup, shownANSI, shownReversed}, "rejected": {"<script>window.attacked=1</script>", `\u001b[31mred`, "Receiver/receive", "source has"}} {
		b.do(chromedp.KeyEvent(kb.Escape))
		b.view(name)
		b.do(chromedp.Click("#" + name + "-list summary"))
		contains(name, "#"+name+"-list", texts...)
	}
	for _, name := range []string{"consumers", "schemas", "send"} {
		b.view(name)
		safe(name)
	}
	b.expect("TrustedHTML")
	if !run[bool](b, `(() => { try { document.querySelector("main").innerHTML = "<b></b>"; return false } catch { return true } })()`) {
		t.Error("a script can make markup of a text")
	}
}

// TestByKeyboardAlone does all that the console is for without a pointer.
func TestByKeyboardAlone(t *testing.T) {
	s, b := served(t), browse(t)
	b.screen(1280, "light")
	b.open(s, "events")

	// Filter, open an event, and close it: the focus is where it was.
	b.tabTo(`#filter input[name=subject]`)
	b.do(chromedp.KeyEvent("jerry"))
	b.press(kb.Enter)
	b.await(`[...document.querySelectorAll("#events tbody tr")].every(r => r.textContent.includes("jerry")) && document.querySelectorAll("#events tbody tr").length === 1`)
	b.tabTo(`#events tbody button`)
	b.press(kb.Enter)
	b.await(`document.querySelector("#event").open && document.querySelector("#event pre")`)
	b.picture("keyboard-event")
	b.tabTo(`#event-close`)
	b.press(kb.Escape)
	b.await(`!document.querySelector("#event").open && document.activeElement.matches("#events tbody button")`)

	// While the focus is in the list it stays as it is.
	s.receive(t, "app.later", "jerry")
	b.await(`document.querySelector("#left").textContent.includes("wait")`)
	if n := run[int](b, `document.querySelectorAll("#events tbody tr").length`); n != 1 {
		t.Errorf("the list has %d rows while the focus is in it, want 1", n)
	}
	b.tabTo(`#program, .skip`) // round, out of the list
	b.await(`document.querySelectorAll("#events tbody tr").length === 2`)

	// Pause, and go on.
	b.tabTo(`#pause`)
	b.press(" ")
	s.receive(t, "app.paused", "jerry")
	b.await(`document.querySelector("#left").textContent.includes("wait")`)
	b.press(" ")
	b.await(`document.querySelectorAll("#events tbody tr").length === 3`)

	// Retry a dead letter of the consumer that runs: it is handled.
	b.tabTo(`nav a[data-view=dead]`)
	b.press(kb.Enter)
	b.await(shown["dead"])
	if before := run[int](b, `document.querySelectorAll("#dead-list details").length`); before != 6 {
		t.Fatalf("there are %d dead letters, want 6", before)
	}
	for position := 1; ; position++ {
		b.tabTo(`#dead-list summary`)
		if strings.Contains(run[string](b, "document.activeElement.textContent"), "Receiver, position") {
			break
		}
	}
	b.press(kb.Enter)
	b.tabTo(`#dead-list details[open] button`)
	b.press(kb.Enter)
	b.await(`document.querySelector("#dead-note").textContent.includes("is tried again")`)
	b.tabTo(`#dead-again`)
	for run[int](b, `document.querySelectorAll("#dead-list details").length`) != 5 {
		b.press(kb.Enter)
		b.await(shown["dead"])
	}

	// Choose the other consumer, and try all of it again.
	b.tabTo(`#dead-consumer`)
	b.do(chromedp.KeyEvent("billing"))
	b.await(`location.hash === "#dead?consumer=billing" && document.querySelectorAll("#dead-list details").length === 3`)
	b.tabTo(`#dead-again`)
	b.tabTo(`#dead-all`)
	b.press(kb.Enter)
	b.await(`document.querySelector("#dead-note").textContent === "3 are tried again." && document.querySelector("#dead-list").textContent.includes("waits to be tried again")`)

	// Send a refused request again: it is still refused, and still kept.
	b.tabTo(`nav a[data-view=rejected]`)
	b.press(kb.Enter)
	b.await(shown["rejected"])
	b.tabTo(`#rejected-list summary`)
	b.press(kb.Enter)
	b.tabTo(`#rejected-list details[open] button`)
	b.press(kb.Enter)
	b.await(`document.querySelector("#rejected-note").textContent.includes("is tried again")`)

	// Send an event by the form, with its samples, and find it.
	b.tabTo(`nav a[data-view=send]`)
	b.press(kb.Enter)
	b.await(shown["send"])
	b.tabTo(`#send-form input[name=xwho]`)
	b.press(kb.End)
	b.do(chromedp.KeyEvent("-by-keyboard"))
	b.press(kb.Enter)
	b.await(`document.querySelector("#send-result").textContent.includes("Answered in")`)
	b.tabTo(`nav a[data-view=events]`)
	b.press(kb.Enter)
	b.tabTo(`#filter button[type=reset]`)
	b.press(kb.Enter)
	b.await(`document.querySelector("#events").textContent.includes("xwho-by-keyboard")`)

	// The list of consumers is drawn again every two seconds, which leaves the focus alone.
	b.tabTo(`nav a[data-view=consumers]`)
	b.press(kb.Enter)
	b.await(shown["consumers"])
	b.tabTo(`#consumers tbody a`)
	run[bool](b, `new Promise(done => setTimeout(() => done(true), 2500))`)
	if !run[bool](b, `document.activeElement.matches("#consumers tbody a")`) {
		t.Error("the focus on a consumer is lost")
	}

	for _, name := range []string{"charts", "consumers", "schemas"} {
		b.tabTo(`nav a[data-view=` + name + `]`)
		b.press(kb.Enter)
		b.await(shown[name])
	}
	b.tabTo(`#schemas-list summary`)
	b.press(kb.Enter)
	b.await(`document.querySelector("#schemas-list details[open]").textContent.includes("5 xcontext: google.protobuf.Struct")`)
}

// TestThePageKeepsUp looks at what a page does over time: its clock is another than that of
// the server, its stream breaks, it is in the background, and somebody goes back.
func TestThePageKeepsUp(t *testing.T) {
	if testing.Short() {
		t.Skip("short tests leave that to make console")
	}
	s, b := served(t), browse(t)
	b.screen(1280, "light")
	b.open(s, "events")
	run[bool](b, `(() => { const now = Date.now; Date.now = () => now() + 3600e3; return true })()`)
	rate := func() {
		t.Helper()
		s.receive(t, "app.rate", "ann")
		b.await(`parseFloat(document.querySelector("#rate").textContent) > 0`)
	}
	rate()
	shownOnce := func(rows int) {
		t.Helper()
		b.await(fmt.Sprintf(`document.querySelectorAll("#events tbody tr").length >= %d`, rows))
		if got := run[string](b, `[...document.querySelectorAll("#events tbody tr button")].map(b => b.textContent).join(" ")`); len(strings.Fields(got)) != rows || slices.Contains(strings.Fields(got)[1:], strings.Fields(got)[0]) {
			t.Errorf("the list has %s, want %d events", got, rows)
		}
	}
	shownOnce(7)
	hide := func(hidden bool) {
		run[bool](b, fmt.Sprintf(`(() => { Object.defineProperty(document, "hidden", {value: %t, configurable: true}); document.dispatchEvent(new Event("visibilitychange")); return true })()`, hidden))
	}
	hide(true)
	s.receive(t, "app.hidden", "ann")
	hide(false)
	rate()
	shownOnce(9)

	// What comes late is not shown as another event.
	run[bool](b, `(() => { const ask = fetch; window.fetch = async (path, options) => { if (path.endsWith("position=1")) await new Promise(done => setTimeout(done, 500)); const answer = await ask(path, options); if (path.endsWith("position=1")) window.late = true; return answer }; return true })()`)
	b.do(chromedp.Click(`#events tbody tr:last-child button`), chromedp.KeyEvent(kb.Escape), chromedp.Click(`#events tbody tr:first-child button`))
	b.await(`window.late && document.querySelector("#event pre")`)
	run[bool](b, `new Promise(done => setTimeout(() => done(true), 100))`)
	if got := run[string](b, `document.querySelector("#event").textContent`); !strings.Contains(got, "app.rate") {
		t.Errorf("the event is shown as %s", got)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = "consumers"`))
	b.await(`!document.querySelector("#event").open`)
}

// TestThePageOutlivesTheServer kills the server while the list is paused, and starts it again.
func TestThePageOutlivesTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("short tests leave that to make console")
	}
	s, b := startQuiet(t, "sqlite:events.db"), browse(t)
	b.expect("net::ERR")
	b.screen(1280, "light")
	s.receive(t, "app.before", "ann")
	b.open(s, "events")
	b.do(chromedp.Click("#pause"))
	s.kill()
	b.await(`document.querySelector("#health").textContent === "not connected"`)
	s.launch(t)
	s.receive(t, "app.after", "ann")
	b.await(`document.querySelector("#health").textContent === "connected" && document.querySelector("#left").textContent.includes("2 new ones wait")`)
	const list = `[...document.querySelectorAll("#events tbody tr button")].map(b => b.textContent).join(" ")`
	if got := run[string](b, list); got != "1" {
		t.Errorf("the paused list is %s, want 1", got)
	}
	b.do(chromedp.Click("#pause"))
	b.await(list + ` === "2 1"`)
}

// TestFormsSendWhatIsTyped sends a number that JavaScript does not have.
func TestFormsSendWhatIsTyped(t *testing.T) {
	s, b := served(t), browse(t)
	b.screen(1280, "light")
	b.open(s, "send")
	const large = `{"large": 9007199254740993}`
	run[bool](b, `(() => { const ask = fetch; window.fetch = (path, options) => { if (options.body) window.sent = options.body; return ask(path, options) };
		document.querySelector("#send-form textarea").value = `+quote(large)+`; document.querySelector("#send-form button[type=submit]").click(); return true })()`)
	b.await(`document.querySelector("#send-result").textContent.includes("Answered in")`)
	if sent := run[string](b, "window.sent"); !strings.Contains(sent, `"xcontext":`+large) {
		t.Errorf("the page sends %s", sent)
	}

	// Another process of the server has other forms.
	run[bool](b, `(() => { const ask = fetch; window.fetch = async (path, options) => { const answer = await ask(path, options);
		if (path === "api/forms") return Response.json({forms: []});
		return path === "api/state" ? Response.json({...await answer.json(), server: 1}) : answer }; return true })()`)
	b.view("consumers")
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = "send"`))
	b.await(`document.querySelector("#send-form").textContent.includes("No RPC")`)
}

// TestAccessible has axe-core look at all views, on a phone and a desk, in both themes.
func TestAccessible(t *testing.T) {
	s, source, b := served(t), axe(t), browse(t)
	type screen struct {
		width  int64
		scheme string
	}
	screens := []screen{{360, "dark"}}
	if !testing.Short() {
		screens = append(screens, screen{360, "light"}, screen{1280, "dark"}, screen{1280, "light"})
	}
	look := func(name string) {
		t.Helper()
		b.picture(name)
		var found []struct {
			ID, Impact, Help string
			Nodes            []struct{ HTML, FailureSummary string }
		}
		text := run[string](b, source+`; axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`)
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			t.Fatal(err)
		}
		for _, one := range found {
			t.Errorf("%s: %s (%s): %s\n%s\n%s", name, one.ID, one.Impact, one.Help, one.Nodes[0].HTML, one.Nodes[0].FailureSummary)
		}
		if wide := run[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
			t.Errorf("%s: the page is %d pixels wider than the window", name, wide)
		}
	}
	for _, at := range screens {
		b.screen(at.width, at.scheme)
		b.open(s, "events")
		for _, name := range []string{"events", "consumers", "dead", "rejected", "schemas", "send", "charts"} {
			b.view(name)
			if slices.Contains([]string{"dead", "rejected", "schemas"}, name) {
				b.do(chromedp.Click("#" + name + "-list summary"))
			}
			look(fmt.Sprintf("%s-%d-%s", name, at.width, at.scheme))
		}
		b.view("events")
		b.do(chromedp.Click(`#events tbody tr:last-child button`))
		b.await(`document.querySelector("#event pre")`)
		look(fmt.Sprintf("event-%d-%s", at.width, at.scheme))
	}
}

// TestPublicConsoleAsksForAKey checks that a console which other machines reach shows nothing
// without a key, and changes nothing with one for a single source.
func TestPublicConsoleAsksForAKey(t *testing.T) {
	if testing.Short() {
		t.Skip("short tests leave that to those of the package console")
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys")
	add := func(name string, scope ...string) string {
		out, err := exec.Command(path, append([]string{"keys", "add", name, "--keys", keys}, scope...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	one, all := add("one", "--source", "shop", "--tails"), add("all", "--all-sources")
	s := start(t, prepare(t), "--keys", keys, "--console", "write", "--ops-addr", "0.0.0.0:0")
	s.page = strings.Replace(strings.Replace(s.page, "[::]", "127.0.0.1", 1), "0.0.0.0", "127.0.0.1", 1)
	b := browse(t)
	b.expect("401")
	b.expect("403")
	b.screen(360, "light")
	b.do(chromedp.Navigate(s.page))
	enter := func(key string) {
		t.Helper()
		b.await(`document.querySelector("#login").open && document.activeElement.id === "key"`)
		b.do(chromedp.KeyEvent(key))
		b.press(kb.Enter)
	}
	b.await(`document.querySelector("#login").open`)
	for range 3 { // without a key there is nothing else
		b.press(kb.Escape)
	}
	b.await(`document.querySelector("#login").open`)
	b.picture("login")
	if n := run[int](b, `document.querySelectorAll("#events tbody tr").length`); n != 0 {
		t.Errorf("%d events are shown without a key", n)
	}
	enter("not-a-key")
	b.await(`!document.querySelector("#login-problem").hidden`)
	enter(one)
	b.await(shown["events"])
	b.view("dead")
	b.do(chromedp.Click("#dead-list summary"), chromedp.Click("#dead-list details[open] button"))
	b.await(`document.querySelector("#dead-note").textContent.includes("key for all of them")`)

	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(s.page+"#dead")) // which forgets the key
	enter(all)
	b.await(shown["dead"])
	b.do(chromedp.Click("#dead-list summary"), chromedp.Click("#dead-list details[open] button"))
	b.await(`document.querySelector("#dead-note").textContent.includes("is tried again")`)
}

// The pictures are for people: CONSOLE_PICTURES=DIR keeps them.
func init() {
	if dir := os.Getenv("CONSOLE_PICTURES"); dir != "" {
		_ = os.MkdirAll(dir, 0o755)
	}
}
