package console

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/ops"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/rejected"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1server"
)

// testTimeout bounds how long a test waits for what must happen.
const testTimeout = time.Minute

// orders stores what it gets.
type orders struct {
	rulesv1.UnimplementedOrdersServer
	events *rulesv1events.Log
	before func() // storing one; nil for nothing
}

func (o orders) Place(ctx context.Context, event *rulesv1.OrderEvent) (*rulesv1.Placed, error) {
	if o.before != nil {
		o.before()
	}
	_, err := o.events.AppendOrderEvent(ctx, event)
	return &rulesv1.Placed{}, err
}

func (o orders) Upload(stream rulesv1.Orders_UploadServer) error {
	for {
		event, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&rulesv1.Placed{})
		}
		if err == nil {
			_, err = o.events.AppendOrderEvent(stream.Context(), event)
		}
		if err != nil {
			return err
		}
	}
}

// running is a server with a console.
type running struct {
	log    eventlog.Log
	config *Config
	server *server.Server
	base   string // URL of the console, as 127.0.0.1
	client rulesv1.OrdersClient
	before func()        // an RPC stores an event
	stop   func()        // the server
	ended  chan struct{} // closed when it has
}

// serve runs a server with a log in memory until the test ends.
func serve(t *testing.T, mode, opsAddr string, options ...server.Option) *running {
	t.Helper()
	return serveLog(t, servertest.Log(t), mode, opsAddr, options...)
}

func serveLog(t *testing.T, log eventlog.Log, mode, opsAddr string, options ...server.Option) *running {
	t.Helper()
	r := &running{config: &Config{Mode: mode, Caller: guard.CallerName}, before: func() {}, ended: make(chan struct{})}
	r.log = r.config.Log(log)
	refused := rejected.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "rejected.db")}
	port := ops.Config{Addr: opsAddr}
	config := server.Defaults("test")
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError
	s, err := server.Listen(config, append(options, rulesv1server.Orders(orders{events: rulesv1events.New(r.log), before: func() { r.before() }}), port.Option(), refused.Option(t.Context()), r.config.Option(refused.Log))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() {
		defer close(r.ended)
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-r.ended
	})
	_, at, err := net.SplitHostPort(s.PortAddr("ops-addr"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r.server, r.base, r.client = s, "http://127.0.0.1:"+at+Path, rulesv1.NewOrdersClient(conn)
	return r
}

// ask sends a request with headers, as "Name: value", and returns the status and the answer.
func (r *running) ask(t *testing.T, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if request.Header.Set(name, value); name == "Host" {
			request.Host = value
		}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.ContentLength < 0 { // then its end comes after what is flushed
		t.Errorf("%s %s: the answer has no length", method, path)
	}
	return answer.StatusCode, string(text)
}

// decoded asks for something, which must be there.
func decoded[T any](t *testing.T, r *running, path string) (value T) {
	t.Helper()
	code, text := r.ask(t, http.MethodGet, path, "")
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, code, text)
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func sample() *rulesv1.OrderEvent {
	return servertest.Sample[*rulesv1.OrderEvent]("rules.v1.OrderEvent.event_id")
}

// add appends an event.
func (r *running) add(t *testing.T) {
	t.Helper()
	if _, err := rulesv1events.New(r.log).AppendOrderEvent(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
}

// placed is a request that keeps the rules, in JSON.
func placed(t *testing.T) string {
	t.Helper()
	request, err := protojson.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"method": "/rules.v1.Orders/Place", "request": json.RawMessage(request)})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	retryAll = `{"log": "events", "consumer": "billing", "all": true}`
	local    = "127.0.0.1:0"
	public   = "0.0.0.0:0"
)

// TestWhoMayUseTheConsole asks by each mode, from where a browser may.
func TestWhoMayUseTheConsole(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	key := func(name string, scope ...string) string {
		var out strings.Builder
		if err := guard.Keys("test", append([]string{"add", name, "--keys", keys}, scope...), func(string) string { return "" }, &out); err != nil {
			t.Fatal(err)
		}
		return "Authorization: Bearer " + strings.TrimSpace(out.String())
	}
	all, tails, one := key("all", "--all-sources"), key("tails", "--source", "other", "--tails"), key("one", "--source", "other")
	access := guard.Config{Keys: keys}
	type request struct {
		method, path, body string
		headers            []string
		want               int
	}
	get := func(want int, headers ...string) request { return request{"GET", "api/state", "", headers, want} }
	post := func(path, body string, want int, headers ...string) request {
		return request{"POST", "api/" + path, body, headers, want}
	}
	send := placed(t)
	for _, test := range []struct {
		mode, addr string
		keys       bool
		requests   []request
	}{
		{"", local, false, []request{
			get(200), {"GET", "", "", nil, 200}, {"GET", "console.js", "", nil, 200}, {"GET", "console.go", "", nil, 404}, {"PUT", "api/state", "", nil, 405},
			post("retry", retryAll, 403), post("send", send, 403),
			get(200, "Sec-Fetch-Site: same-origin"), get(403, "Sec-Fetch-Site: cross-site"), get(403, "Sec-Fetch-Site: same-site"),
			post("send", send, 403, "Sec-Fetch-Site: cross-site"), post("send", send, 403, "Origin: https://evil.example"),
			post("send", send, 403, "Origin: null"),
			get(200, "Host: localhost:9464"), get(200, "Host: [::1]:9464"), get(403, "Host: evil.example"), get(403, "Host: evil.example:9464"), get(403, "Host: 10.0.0.1"),
			{"GET", "", "", []string{"Host: evil.example"}, 403}, get(403, "X-Forwarded-For: 10.0.0.1"), get(403, "Forwarded: for=10.0.0.1"), get(403, "X-Forwarded-Proto: https"),
		}},
		{Local, local, true, []request{get(200), post("retry", retryAll, 403), post("send", send, 403)}},
		{Read, local, true, []request{get(200), post("retry", retryAll, 403), post("send", send, 403)}},
		{Write, local, false, []request{
			get(200), post("retry", retryAll, 200), post("send", send, 200), post("send", send, 400, "Content-Type: text/plain"),
			post("send", send, 403, "Sec-Fetch-Site: cross-site"), post("send", send, 403, "Origin: https://evil.example"), post("send", send, 403, "Origin: null"),
		}},
		{Local, public, true, []request{get(403), get(403, all), {"GET", "", "", nil, 403}, post("send", send, 403, all)}},
		{Write, public, false, []request{get(403), post("send", send, 403)}},
		{Read, public, true, []request{
			{"GET", "", "", nil, 200}, get(401), get(401, "Authorization: Bearer wrong"), get(200, all), get(200, tails), get(403, one),
			post("retry", retryAll, 403, all), post("send", send, 403, all), get(200, all, "Host: orders.example"), get(403, all, "Sec-Fetch-Site: cross-site"),
		}},
		{Write, public, true, []request{
			get(401), post("retry", retryAll, 401), post("retry", retryAll, 403, tails), post("retry", retryAll, 200, all),
			post("send", send, 401), post("send", send, 403, tails), post("send", send, 200, all), post("send", send, 403, all, "Origin: https://evil.example"),
		}},
	} {
		t.Run(fmt.Sprintf("%s at %s with keys %t", test.mode, test.addr, test.keys), func(t *testing.T) {
			t.Parallel()
			var options []server.Option
			if test.keys {
				options = append(options, access.Option())
			}
			r := serve(t, test.mode, test.addr, options...)
			for _, request := range test.requests {
				if code, text := r.ask(t, request.method, request.path, request.body, request.headers...); code != request.want {
					t.Errorf("%s %s with %q: %d %s, want %d", request.method, request.path, request.headers, code, text, request.want)
				}
			}
		})
	}
}

func TestHeadersOfThePage(t *testing.T) {
	r := serve(t, "", local)
	answer, err := http.Get(r.base)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Header.Get("Content-Security-Policy"); got != policy || !strings.Contains(got, "default-src 'none'") {
		t.Errorf("the policy is %q", got)
	}
	for name, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, inline := range []string{"<script>", "onclick", "style=", "javascript:", "http:", "https:"} {
		if strings.Contains(string(text), inline) {
			t.Errorf("the page has %s", inline)
		}
	}
}

// No script may make markup of a text.
func TestScriptsMakeNoMarkupOfTexts(t *testing.T) {
	names, err := filepath.Glob("*.js")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "setHTML", "createContextualFragment", "Function("} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s uses %s", name, word)
			}
		}
	}
}

func TestOffServesNothing(t *testing.T) {
	r := serve(t, Off, local)
	if code, _ := r.ask(t, "GET", "", ""); code != 404 {
		t.Errorf("it answers %d, want 404", code)
	}
	config := Config{Mode: "all"}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	config.Flags(flags)
	if config.Mode != Local {
		t.Errorf("by default the mode is %q", config.Mode)
	}
	config.Mode = "all"
	c := server.Defaults("test")
	c.Addr = local
	if _, err := server.Listen(c, rulesv1server.Orders(orders{}), config.Option(nil)); err == nil || !strings.Contains(err.Error(), "--console all: want one of off, local, read, write") {
		t.Errorf("error is %v", err)
	}
}

// follow opens a stream of events, and returns what reads a frame.
func (r *running) follow(t *testing.T, query string) func() frame {
	t.Helper()
	answer, err := http.Get(r.base + "api/live" + query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	lines := bufio.NewReader(answer.Body)
	return func() (f frame) {
		t.Helper()
		text, err := lines.ReadString('\n')
		if err == nil {
			_, err = lines.ReadString('\n')
		}
		if err == nil {
			err = json.Unmarshal([]byte(strings.TrimPrefix(text, "data: ")), &f)
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

func TestEventsArriveByFilter(t *testing.T) {
	r := serve(t, "", local)
	for range 3 {
		r.add(t)
	}
	all := r.follow(t, "")
	for got := 0; got < 3; {
		f := all()
		for _, row := range f.Rows {
			if got++; row.Position != eventlog.Position(got) || row.Type == "" || row.Bytes == 0 {
				t.Errorf("row %d is %+v", got, row)
			}
		}
	}
	none, some := r.follow(t, "?type=no-such-type"), r.follow(t, "?source="+sample().GetSource())
	r.add(t)
	for f := none(); f.Seen == 0; f = none() {
		if len(f.Rows) > 0 {
			t.Errorf("a filter passes %+v", f.Rows)
		}
	}
	for f := some(); ; f = some() {
		if n := len(f.Rows); n > 0 && f.Rows[n-1].Position == 4 {
			break
		}
	}
}

// Also while events arrive all the time, a browser whose key is revoked soon sees nothing.
func TestWatchingEndsWithTheKey(t *testing.T) {
	var revoked atomic.Bool
	r := serve(t, Read, public, server.Guards(server.Guard{KnowsCallers: true, Admit: func(ctx context.Context, _ server.Call) (context.Context, error) {
		if revoked.Load() {
			return nil, status.Error(codes.Unauthenticated, "revoked")
		}
		return ctx, nil
	}}))
	answer, err := http.Get(r.base + "api/live")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	ended, body := make(chan error, 1), answer.Body
	go func() {
		_, err := io.Copy(io.Discard, body)
		ended <- err
	}()
	revoked.Store(true)
	for deadline := time.After(testTimeout); ; {
		r.add(t)
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatal("it watches on")
		}
	}
}

// A browser that takes nothing gets the latest events later, and how many were left out.
func TestWhatASlowBrowserMissesIsCounted(t *testing.T) {
	r := serve(t, "", local)
	h := hub{log: r.log, work: newWork()}
	w, err := h.add(filter{})
	if err != nil {
		t.Fatal(err)
	}
	// await waits until the last event has arrived, and takes what has.
	await := func(last eventlog.Position) frame {
		t.Helper()
		for deadline := time.Now().Add(testTimeout); ; time.Sleep(5 * time.Millisecond) {
			h.mu.Lock()
			done := len(w.rows) > 0 && w.rows[len(w.rows)-1].Position == last
			h.mu.Unlock()
			if done {
				return h.take(w)
			}
			if time.Now().After(deadline) {
				t.Fatalf("event %d does not arrive", last)
			}
		}
	}
	r.add(t)
	await(1)
	const events = 10 * mostRows
	for range events {
		r.add(t)
	}
	if f := await(1 + events); len(f.Rows) != mostRows || f.Left != events-mostRows || f.Seen != events || f.Rows[0].Position != 2+events-mostRows {
		t.Errorf("%d rows from %d, %d left out, %d seen", len(f.Rows), f.Rows[0].Position, f.Left, f.Seen)
	}
	// Who comes later gets the latest, of which none counts.
	later, err := h.add(filter{})
	if err != nil {
		t.Fatal(err)
	}
	if f := h.take(later); len(f.Rows) != min(firstRows, events+1) || f.Left != 0 || f.Seen != 0 {
		t.Errorf("later: %d rows, %d left out, %d seen", len(f.Rows), f.Left, f.Seen)
	}
	h.remove(later)
	h.remove(w)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != nil || len(h.recent) > 0 {
		t.Error("it reads on after the last browser has left")
	}
}

func TestBrowsersAreBounded(t *testing.T) {
	h := hub{log: servertest.Log(t), work: newWork()}
	var all []*watcher
	for range mostWatchers {
		w, err := h.add(filter{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	if _, err := h.add(filter{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("error is %v", err)
	}
	for _, w := range all {
		h.remove(w)
	}
}

// TestTheServerWaitsForWhatTheConsoleDoes stops the server while the form is being handled,
// and while a browser watches, which does not keep it.
func TestTheServerWaitsForWhatTheConsoleDoes(t *testing.T) {
	r := serve(t, Write, local)
	began, early := make(chan struct{}), false
	r.before = func() {
		close(began)
		for _, leaving := r.server.Readiness(); !leaving; _, leaving = r.server.Readiness() {
			time.Sleep(time.Millisecond)
		}
		select {
		case <-r.ended:
			early = true
		case <-time.After(200 * time.Millisecond): // for a server that does not wait
		}
	}
	next := r.follow(t, "")
	next()
	type answer struct {
		code int
		text string
	}
	sent := make(chan answer, 1)
	go func() {
		defer close(sent) // also if there is no answer
		code, text := r.ask(t, "POST", "api/send", placed(t))
		sent <- answer{code, text}
	}()
	<-began
	r.stop()
	if got := <-sent; got.code != 200 {
		t.Errorf("the form is answered with %d %s", got.code, got.text)
	}
	<-r.ended
	if early {
		t.Error("the server has ended before the call of the form")
	}
	if stats, err := r.log.Stats(t.Context()); err != nil || stats.Events != 1 {
		t.Errorf("the log has %d events (%v), want 1", stats.Events, err)
	}
}

// TestTheLogSaysWhoChangedWhat sends and retries with a key.
func TestTheLogSaysWhoChangedWhat(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	var key, log strings.Builder
	if err := guard.Keys("test", []string{"add", "ann", "--keys", keys, "--all-sources"}, func(string) string { return "" }, &key); err != nil {
		t.Fatal(err)
	}
	access := guard.Config{Keys: keys}
	r := serve(t, Write, public, access.Option(), server.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	header := "Authorization: Bearer " + strings.TrimSpace(key.String())
	r.ask(t, "POST", "api/send", placed(t), header)
	r.ask(t, "POST", "api/retry", retryAll, header)
	r.stop()
	<-r.ended
	for _, want := range []string{`msg="a request was sent by the console" method=/rules.v1.Orders/Place code=OK by.address=`, `consumer=billing letters=0 by.address=`, `by.key=ann`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %s: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), strings.TrimSpace(key.String())) {
		t.Error("the log has the key")
	}
}

// TestWhatIsNotServedIsLogged starts servers whose console nobody can use: that is a warning
// if somebody has asked for one.
func TestWhatIsNotServedIsLogged(t *testing.T) {
	for _, test := range []struct{ mode, addr, want string }{
		{Local, public, "level=INFO msg=\"the console is not served: other machines reach its port"},
		{Read, public, "level=WARN msg=\"the console is not served: other machines reach its port"},
		{Write, "", "level=WARN msg=\"the console is not served: its port is that of --ops-addr"},
		{Local, "", ""},
		{Local, local, "level=INFO msg=\"serving the console"},
	} {
		var log strings.Builder
		console, port, config := Config{Mode: test.mode}, ops.Config{Addr: test.addr}, server.Defaults("test")
		console.Log(servertest.Log(t))
		config.Addr = local
		s, err := server.Listen(config, rulesv1server.Orders(orders{}), port.Option(), console.Option(nil), server.Logger(slog.New(slog.NewTextHandler(&log, nil))))
		if err != nil {
			t.Fatal(err)
		}
		if got := log.String(); !strings.Contains(got, test.want) || test.want == "" && strings.Contains(got, "console") {
			t.Errorf("mode %s at %q: the log is %s, want %s", test.mode, test.addr, got, test.want)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := s.Serve(ended); err != nil {
			t.Error(err)
		}
	}
}

// bill has the consumer billing give up on all events.
func bill(t *testing.T, r *running, events int64) { giveUp(t, r, "billing", events) }

// giveUp has a consumer give up on all events.
func giveUp(t *testing.T, r *running, consumer string, events int64) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- eventlog.Consume(ctx, r.log, consumer, func(context.Context, eventlog.Record) error {
			return eventlog.GiveUp(fmt.Errorf("the table is missing"))
		}, eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(5 * time.Millisecond) {
		stats, err := r.log.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(stats.Consumers, func(c eventlog.ConsumerStats) bool { return c.Name == consumer && c.Dead == events }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", stats.Consumers)
		}
	}
	stop()
	<-done
}

// TestPagesHaveEachDeadLetterOnce turns the pages of the dead letters of all consumers, and
// of one, as the page does.
func TestPagesHaveEachDeadLetterOnce(t *testing.T) {
	r := serve(t, "", local)
	const events = mostLetters + 3
	for range events {
		r.add(t)
	}
	for _, name := range []string{"mail", "billing"} {
		giveUp(t, r, name, events)
	}
	for consumer, want := range map[string]int{"": 2 * events, "billing": events, "nobody": 0} {
		found, pages, after := map[string]int{}, 0, url.Values{}
		for more := true; more; pages++ {
			page := decoded[letters](t, r, "api/dead?log=events&consumer="+consumer+"&"+after.Encode())
			for _, one := range page.Letters {
				found[fmt.Sprint(one.Consumer, one.Position)]++
				after.Set("from", one.Consumer)
				after.Set("after", fmt.Sprint(one.Position))
			}
			if more = page.More; len(page.Letters) > mostLetters || more && len(page.Letters) < mostLetters {
				t.Errorf("page %d of consumer %q has %d letters", pages, consumer, len(page.Letters))
			}
		}
		for at, times := range found {
			if times != 1 {
				t.Errorf("the pages of consumer %q have %s %d times", consumer, at, times)
			}
		}
		if len(found) != want {
			t.Errorf("the pages of consumer %q have %d letters, want %d", consumer, len(found), want)
		}
	}
}

func TestWhatTheConsoleShows(t *testing.T) {
	r := serve(t, Write, local)
	r.add(t)
	r.add(t)
	bill(t, r, 2)

	got := decoded[state](t, r, "api/state")
	if got.Mode != Write || !got.Writes || !got.Rejected || got.Log.Events != 2 || len(got.Log.Consumers) != 1 || got.Log.Consumers[0].Dead != 2 {
		t.Errorf("the state is %+v", got)
	}
	event := decoded[shown](t, r, "api/event?position=2")
	if event.Position != 2 || event.Schema != "rules.v1.OrderEvent" || event.Version == "" || event.Problem != "" || !strings.Contains(event.Data, `"event_id": "`+event.ID) {
		t.Errorf("the event is %+v", event)
	}
	for query, want := range map[string]int{"position=3": 404, "position=x": 400, "position=0": 400, "": 400} {
		if code, text := r.ask(t, "GET", "api/event?"+query, ""); code != want {
			t.Errorf("%q: %d %s, want %d", query, code, text, want)
		}
	}
	dead := decoded[letters](t, r, "api/dead?log=events&from=billing&after=1")
	if len(dead.Letters) != 1 || dead.More || dead.Letters[0].Position != 2 || dead.Letters[0].Reason != "the table is missing" || dead.Letters[0].Retrying {
		t.Errorf("the dead letters are %+v", dead)
	}
	if code, text := r.ask(t, "POST", "api/retry", `{"log": "events", "consumer": "billing", "positions": [2]}`); code != 200 || text != `{"retried":1}` {
		t.Errorf("to retry: %d %s", code, text)
	}
	if dead = decoded[letters](t, r, "api/dead?log=events&from=billing&after=1"); !dead.Letters[0].Retrying {
		t.Errorf("after that: %+v", dead)
	}
	for _, body := range []string{`{"log": "events", "consumer": "billing"}`, `{"log": "events", "consumer": "billing", "all": true, "positions": [1]}`,
		`{"log": "other", "consumer": "billing", "all": true}`, `{"log": "events", "consumer": "", "all": true}`, `nonsense`} {
		if code, text := r.ask(t, "POST", "api/retry", body); code != 400 {
			t.Errorf("%s: %d %s, want 400", body, code, text)
		}
	}
	schemas := decoded[struct {
		Schemas []schemaUse
		Done    bool
	}](t, r, "api/schemas")
	if len(schemas.Schemas) != 1 || !schemas.Done || schemas.Schemas[0].Events != 2 || schemas.Schemas[0].First != 1 || schemas.Schemas[0].Last != 2 ||
		!schemas.Schemas[0].Current || len(schemas.Schemas[0].Fields) == 0 {
		t.Errorf("the schemas are %+v", schemas)
	}
}

// TestRefusedRequestsAreShown looks at one that is decoded, one that has more than is shown,
// and one that can't be decoded.
func TestRefusedRequestsAreShown(t *testing.T) {
	r := serve(t, "", local)
	short, long := sample(), sample()
	short.Note = "much too long"
	long.Note = strings.Repeat("x", 2*mostData)
	for _, wrong := range []*rulesv1.OrderEvent{short, long} {
		if _, err := r.client.Place(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer secret"), wrong); status.Code(err) != codes.InvalidArgument {
			t.Fatal(err)
		}
	}
	var text string
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(5 * time.Millisecond) { // they are kept after the answer
		if _, text = r.ask(t, "GET", "api/dead?log=rejected&consumer=rejected", ""); strings.Count(text, `"rpc"`) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("they are not kept: %s", text)
		}
	}
	var all letters
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Letters {
		got := *one.Refused
		if got.RPC != "rules.v1.Orders/Place" || got.Code != "InvalidArgument" || got.Type != "rules.v1.OrderEvent" || got.Address == "" {
			t.Errorf("it is shown as %+v", got)
		}
	}
	if got := all.Letters[0].Refused; got.Base64 || got.Cut || !strings.Contains(got.Request, "\"note\": \"much too long\"") {
		t.Errorf("the short one is shown as %+v", got)
	}
	if got := all.Letters[1].Refused; !got.Base64 || !got.Cut || len(got.Request) != mostData {
		t.Errorf("of the long one %d bytes are shown, in base64: %t, cut: %t", len(got.Request), got.Base64, got.Cut)
	}
	if strings.Contains(text, "secret") {
		t.Error("a header with a key is shown")
	}
}

// trimmed is a log that has deleted what is before a position, after that was read.
type trimmed struct {
	eventlog.Log
	first eventlog.Position
}

func (l trimmed) Stats(ctx context.Context) (eventlog.Stats, error) {
	stats, err := l.Log.Stats(ctx)
	stats.First, stats.Events = l.first, max(0, int64(stats.Last-l.first+1))
	return stats, err
}

func TestSchemasForgetWhatIsDeleted(t *testing.T) {
	r := serve(t, "", local)
	for range 3 {
		r.add(t)
	}
	for first, want := range map[eventlog.Position]string{1: "1 to 3 false", 3: "3 to 3 true", 4: ""} {
		log := trimmed{r.log, first}
		p := &page{figures: figures{log: log}, schemas: schemaUses{log: log}}
		answer, err := p.listSchemas(httptest.NewRequest(http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var all struct{ Schemas []schemaUse }
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, one := range all.Schemas {
			got += fmt.Sprintf("%d to %d %t", one.First, one.Last, one.Deleted)
		}
		if got != want {
			t.Errorf("with the first at %d: %q, want %q", first, got, want)
		}
	}
}

// counted is a log that counts how often it is read.
type counted struct {
	eventlog.Log
	reads int
}

func (l *counted) Read(ctx context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	l.reads++
	return l.Log.Read(ctx, from)
}

// However many browsers ask, schemas are counted now and then only.
func TestSchemasAreCountedOnceForAll(t *testing.T) {
	log := &counted{Log: servertest.Log(t)}
	u := schemaUses{log: log}
	for range 10 {
		if err := u.count(t.Context()); err != nil || !u.done {
			t.Fatal(u.done, err)
		}
		u.until = u.until.Add(time.Hour) // for machines that stand still
	}
	if log.reads != 1 {
		t.Errorf("the log is read %d times", log.reads)
	}
}

// Of very many consumers those are shown that need somebody.
func TestConsumersAreBounded(t *testing.T) {
	var all []eventlog.ConsumerStats
	for i := range 3 * mostConsumers {
		all = append(all, eventlog.ConsumerStats{Name: fmt.Sprintf("c%04d", i), Lag: int64(i)})
	}
	all[0].Dead, all[1].Failure.Tries = 1, 1
	if got := mostUrgent(all[:mostConsumers]); len(got) != mostConsumers || got[0].Name != "c0000" || got[2].Name != "c0002" {
		t.Errorf("of few, they are %v", got)
	}
	if got := mostUrgent(all); len(got) != mostConsumers || got[0].Name != "c0001" || got[1].Name != "c0000" || got[2].Name != "c0599" {
		t.Errorf("of many, they begin with %v", got[:3])
	}
	if all[0].Name != "c0000" {
		t.Error("the figures of others are in another order now")
	}
}

// TestFormsSend sends what the forms have at first, and what the rules refuse.
func TestFormsSend(t *testing.T) {
	var from string
	intercept := server.UnaryInterceptors(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if caller, ok := peer.FromContext(ctx); ok {
			from = caller.Addr.String()
		}
		if _, ok := metadata.FromIncomingContext(ctx); !ok {
			t.Error("the call has no metadata")
		}
		return next(ctx, request)
	})
	r := serve(t, Write, local, intercept)
	got := decoded[struct{ Forms []form }](t, r, "api/forms")
	if len(got.Forms) != 4 || got.Forms[0].Method != "/rules.v1.Orders/Place" || got.Forms[0].Type != "rules.v1.OrderEvent" {
		t.Fatalf("the forms are %+v", got.Forms)
	}
	send := func(body string) (int, string) { return r.ask(t, "POST", "api/send", body) }
	if code, text := send(placed(t)); code != 200 || !strings.Contains(text, `"reply"`) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := send(strings.Replace(placed(t), "Place", "Upload", 1)); code != 200 {
		t.Errorf("by a stream: %d %s", code, text)
	}
	if stats, err := r.log.Stats(t.Context()); err != nil || stats.Events != 2 {
		t.Errorf("the log has %d events (%v), want 2", stats.Events, err)
	}
	if !strings.HasPrefix(from, "127.0.0.1:") {
		t.Errorf("the call comes from %q", from)
	}
	for body, want := range map[string]string{
		`{"method": "/rules.v1.Orders/Place", "request": {"note": "much too long"}}`:             "and 5 more",
		`{"method": "/rules.v1.Orders/Place", "request": {"nothing": 1}}`:                        "has no field",
		`{"method": "/rules.v1.Orders/Get", "request": {}}`:                                      "is not an RPC that takes events",
		`{"method": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "request": {}}`: "is not an RPC that takes events",
		`nonsense`: "can't be read",
	} {
		if code, text := send(body); code != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, want %s", body, code, text, want)
		}
	}
}

// TestSamplesOfFormsAreMessages makes requests of samples as the page does, also where only
// one of several fields may have a value.
func TestSamplesOfFormsAreMessages(t *testing.T) {
	var request func(fields []field) map[string]any
	request = func(fields []field) map[string]any {
		all := map[string]any{}
		for _, f := range fields {
			switch {
			case f.Input == "message":
				if inner := request(f.Fields); len(inner) > 0 {
					all[f.Name] = inner
				}
			case f.Sample == nil:
			case f.Input == "json":
				all[f.Name] = json.RawMessage(f.Sample.(string))
			default:
				all[f.Name] = fmt.Sprint(f.Sample)
			}
		}
		return all
	}
	for _, message := range []proto.Message{&rulesv1.Wholes{}, &rulesv1.OrderEvent{}} {
		text, err := json.Marshal(request(fieldsOf(message.ProtoReflect().Descriptor(), server.Fields{}, "", formDepth)))
		if err != nil {
			t.Fatal(err)
		}
		if err := protojson.Unmarshal(text, message); err != nil || proto.Size(message) == 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestFormsKeepToTheLimits sends a request that is larger than the server takes.
func TestFormsKeepToTheLimits(t *testing.T) {
	r := serve(t, Write, local)
	body := strings.Replace(placed(t), "{", `{"padding": "`+strings.Repeat("x", 1000)+`", `, 1)
	if code, text := r.ask(t, "POST", "api/send", body); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	body = `{"method": "/rules.v1.Orders/Place", "request": {` + strings.Repeat(" ", r.server.Config().MaxMessageBytes) + `}}`
	if code, text := r.ask(t, "POST", "api/send", body); code != 429 || !strings.Contains(text, "--max-message-bytes") {
		t.Errorf("%d %s", code, text)
	}
}

// A browser that leaves while it waits for figures must not have others get its error.
func TestWhoLeavesSpoilsNoFigures(t *testing.T) {
	f := figures{log: servertest.Log(t)}
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := f.get(left); err == nil {
		t.Error("one that has left gets figures")
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.log = leaving{servertest.Log(t), cancel}
	if _, err := f.get(ctx); err == nil {
		t.Error("one that leaves meanwhile gets figures")
	}
	f.log = f.log.(leaving).Log
	if _, err := f.get(t.Context()); err != nil {
		t.Errorf("the next one gets %v", err)
	}
}

// leaving is a log whose caller leaves while it asks for figures.
type leaving struct {
	eventlog.Log
	leave func()
}

func (l leaving) Stats(ctx context.Context) (eventlog.Stats, error) {
	l.leave()
	return eventlog.Stats{}, ctx.Err()
}

// TestCharts counts calls and appends, and forgets what is older than an hour.
func TestCharts(t *testing.T) {
	r := serve(t, "", local)
	if _, err := r.client.Place(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	wrong := sample()
	wrong.Note = "much too long"
	if _, err := r.client.Place(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
	c := &r.config.counters
	for deadline := time.Now().Add(testTimeout); c.calls.Load() < 2; time.Sleep(time.Millisecond) { // it is counted after the answer
		if time.Now().After(deadline) {
			t.Fatal("the calls are not counted")
		}
	}
	begin := time.Now()
	c.add(begin)
	all := decoded[struct {
		Step   int
		Points []chartPoint
	}](t, r, "api/charts")
	sum := chartPoint{Half: -1, AppendMost: -1}
	for _, p := range all.Points {
		sum.Stored, sum.Calls, sum.Wrong = sum.Stored+p.Stored, sum.Calls+p.Calls, sum.Wrong+p.Wrong
		sum.Half, sum.AppendMost = max(sum.Half, p.Half), max(sum.AppendMost, p.AppendMost)
	}
	if all.Step != 5 || sum.Stored != 1 || sum.Calls != 2 || sum.Wrong != 1 || sum.Half <= 0 || sum.AppendMost <= 0 {
		t.Errorf("the points are %+v", all)
	}
	for i := range points + 10 {
		c.add(begin.Add(time.Duration(i+1) * step))
	}
	if got := len(c.after(0)); got != points {
		t.Errorf("there are %d points, want %d", got, points)
	}
	if got := c.after(begin.Add(time.Duration(points+9) * step).UnixMilli()); len(got) != 1 || got[0].Half != -1 {
		t.Errorf("the latest are %+v", got)
	}
}

func TestChartsGoOnIfTheClockIsSetBack(t *testing.T) {
	var c counters
	now := time.Now()
	c.add(now)
	last := c.after(0)[0].Time
	c.add(now.Add(-time.Hour))
	if got := c.after(last); len(got) != 1 {
		t.Errorf("after the last point there are %d, want 1", len(got))
	}
}

func TestBucketsHoldTheirDurations(t *testing.T) {
	before := -1
	for us := int64(0); us < 1<<39; us += us/50 + 1 {
		bucket := bucketOf(time.Duration(us) * time.Microsecond)
		if bucket < before || upperBound(bucket) <= us || us > 8 && float64(upperBound(bucket)) > 1.26*float64(us)+1 {
			t.Fatalf("%d µs are in bucket %d, up to %d", us, bucket, upperBound(bucket))
		}
		before = bucket
	}
	if got := bucketOf(1 << 62); got != buckets-1 {
		t.Errorf("a very long one is in %d", got)
	}
}
