// Package browser tests a generated server with a real browser: Chromium opens a page
// from another origin, which sends events and follows them.
package browser

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/typescript"
)

func TestMain(m *testing.M) { os.Exit(orders.Run(m)) }

// patience bounds how long a page may take.
const patience = time.Minute

// site serves the page from an origin of its own, and takes what the page has seen.
type site struct {
	*httptest.Server
	seen chan map[string]json.RawMessage
}

// task is what the page is to do.
type task struct {
	Server  string `json:"server"`
	Limited string `json:"limited"`
	Key     string `json:"key"`
}

func newSite(t *testing.T, bundle string, todo func() task) *site {
	script, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{seen: make(chan map[string]json.RawMessage, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><title>orders</title><script type="module" src="/page.js"></script>`)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(script) // a browser that is gone is noticed by its page
	})
	mux.HandleFunc("GET /task", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(todo()) })
	mux.HandleFunc("POST /seen", func(w http.ResponseWriter, r *http.Request) {
		var seen map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&seen); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.seen <- seen
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// visit opens the page of a site in Chromium, and returns what the page has seen.
func visit(t *testing.T, chromium string, s *site, flags ...string) map[string]json.RawMessage {
	t.Helper()
	var console bytes.Buffer
	command := exec.Command(chromium, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr", "--remote-debugging-port=0",
		"--user-data-dir=" + t.TempDir()}, append(flags, s.URL)...)...)
	command.Stdout, command.Stderr = &console, &console
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	stop := func() {
		_ = command.Process.Signal(os.Interrupt)
		<-ended
	}
	select {
	case seen := <-s.seen:
		stop()
		return seen
	case err := <-ended:
		t.Fatalf("Chromium ended: %v\n%s", err, &console)
	case <-time.After(patience):
		stop()
		t.Fatalf("the page was not done within %s\n%s", patience, &console)
	}
	return nil
}

// TestChromium has Chromium open a page whose origin the server allows, and the same
// page from another origin.
func TestChromium(t *testing.T) {
	chromium := orders.Tool(t, "chromium", "apt-get install chromium")
	bundle := typescript.Bundle(t, "page.ts", "browser")
	keys, key := orders.Keys(t)
	for name, mode := range orders.Modes(t) {
		t.Run(name, func(t *testing.T) {
			var accept []string // flags of Chromium
			if mode.Certificate != nil {
				accept = []string{"--ignore-certificate-errors-spki-list=" + mode.Certificate.PublicKey}
			}
			var todo task
			allowed, other := newSite(t, bundle, func() task { return todo }), newSite(t, bundle, func() task { return todo })
			flags := append([]string{"--cors-origins", allowed.URL}, mode.Flags...)
			server := orders.Start(t, append([]string{"--keys", keys}, flags...)...)
			limited := orders.Start(t, append([]string{"--source-rate", "0.01", "--source-burst", "1"}, flags...)...)
			todo = task{mode.Scheme + "://" + server.HTTP, mode.Scheme + "://" + limited.HTTP, key}

			var many, none map[string]string // "eight tails at once", and when refused
			if mode.Scheme == "https" {
				many = map[string]string{"eight tails at once": `{"positions": ["1", "1", "1", "1", "1", "1", "1", "1"], "duplicate": false}`}
				none = map[string]string{"eight tails at once": unread}
			}
			typescript.Check(t, visit(t, chromium, other, accept...), refused(), none)
			if strings.Contains(server.Log()+limited.Log(), "msg=stored") {
				t.Error("the page of another origin stored an event")
			}
			typescript.Check(t, visit(t, chromium, allowed, accept...),
				typescript.UnaryAndTail("gRPC-Web"), typescript.UnaryAndTail("Connect"), withFetch, shown, many, withoutPermission)
			if strings.Contains(limited.Log(), "forged") {
				t.Error("a form stored an event")
			}
		})
	}
}

// unread is the error of a call whose answer the browser does not show to the page.
const unread = `{"code": "Unknown", "message": "Failed to fetch", "details": [], "pushback": false}`

// refused is what a page sees to which the browser does not show answers, because the
// server does not allow its origin.
func refused() map[string]string {
	all := map[string]string{}
	for _, protocol := range []string{"gRPC-Web", "Connect"} {
		for step := range typescript.UnaryAndTail(protocol) {
			all[step] = unread
		}
		all[protocol+": follow until the deadline"] = `"Unknown"`
	}
	for step := range withFetch {
		all[step] = `{"error": "TypeError: Failed to fetch"}`
	}
	all["docs: publish"], all["docs: follow"] = all["fetch: publish"], all["fetch: publish"]
	maps.Copy(all, withoutPermission)
	return all
}

// withFetch is what the page must see by fetch.
var withFetch = map[string]string{
	"fetch: publish":        `{"status": 200, "eventId": "fetch-1", "duplicate": false}`,
	"fetch: the same again": `{"status": 200, "eventId": "fetch-1", "duplicate": true}`,
	"fetch: an unknown field": `{"status": 400, "body": {"code": "invalid_argument", 
		"message": "the request is not a valid orders.v1.PublishRequest: line 1, column 68: orders.v1.Event has no field \"colour\""}}`,
	"fetch: without a key": `{"status": 401, "body": {"code": "unauthenticated",
		"message": "no valid API key: send one in the metadata, as \"authorization: Bearer KEY\""}}`,
	"fetch: too many": `{"status": 429, "code": "resource_exhausted", "retryAfter": "100", "details": ["google.rpc.RetryInfo"]}`,
	"fetch: follow":   `["first", "next"]`,
}

// shown is what comes of the code that docs/browsers.md shows.
var shown = map[string]string{"docs: publish": `"shown-1"`, "docs: follow": `["order-17"]`}

// TestDocumentShowsThePage checks that the code in docs/browsers.md is that of the page.
func TestDocumentShowsThePage(t *testing.T) {
	page, err := os.ReadFile("shown.ts")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile(filepath.Join(orders.Repository(t), "docs", "browsers.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(page), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	blocks := regexp.MustCompile("(?s)```ts [^\n]*\n(.*?)```").FindAllStringSubmatch(string(document), -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/browsers.md has %d blocks of TypeScript, want 2", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(strings.Join(lines, "\n"), block[1]) {
			t.Errorf("docs/browsers.md shows what is not in shown.ts:\n%s", block[1])
		}
	}
}

// withoutPermission is what a browser lets any page do. It sends forms, but does not show
// the answers.
var withoutPermission = map[string]string{
	"a form":               `["opaque", "opaque", "opaque", "opaque"]`,
	"a form as CloudEvent": `["opaque", "opaque", "opaque", "opaque"]`,
}
