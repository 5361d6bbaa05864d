package acceptance

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

const fromNode = "install Node 20 or later with npm, then make tools"

// TestClientsInOtherLanguages builds the clients in examples/languages from the proto
// of a new module, and runs them against that module's server.
func TestClientsInOtherLanguages(t *testing.T) {
	orders := newOrders(t)
	for _, client := range []*languageClient{orders.python(t), orders.typeScript(t)} {
		t.Run(client.language, func(t *testing.T) {
			t.Parallel()
			t.Run("an event that is sent twice is stored once", client.sendsOnce)
			t.Run("a batch that is sent twice is stored once", client.sendsBatchOnce)
			t.Run("each event has a new id", client.makesIDs)
			t.Run("another event with the id of a stored one is refused", client.reportsConflict)
			t.Run("an event that is sent while the server is away is stored when it is back", client.waitsForServer)
			t.Run("a tail goes on after a restart of the server, and of itself", client.tailGoesOn)
			t.Run("a try that the server can't take is made again with the same id", client.triesAgain)
			t.Run("none is made if the server wants no other", client.obeysPushback)
		})
	}
}

// orders is a module as new makes it: its protos and the program of its server.
type orders struct{ protos, server string }

func newOrders(t *testing.T) orders {
	dir, programs := t.TempDir(), t.TempDir()
	run(t, dir, "protoc-gen-receiver", "new", "example.com/orders")
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "build", "-o", programs, "./cmd/orders-server")
	return orders{filepath.Join(dir, "proto"), filepath.Join(programs, "orders-server")}
}

// serve starts the server with the log at a path, at an address or a free port.
func (o orders) serve(t *testing.T, log, addr string) *process {
	t.Helper()
	events := "sqlite:" + log
	server := start(t, func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, o.server, "--addr", addr, "--events", events)
	})
	server.events = events
	return server
}

// languageClient is one of the clients in examples/languages.
type languageClient struct {
	orders
	language string
	command  []string // what runs it
	env      []string
}

func (o orders) python(t *testing.T) *languageClient {
	stubs := t.TempDir()
	run(t, o.protos, tool(t, "protoc", fromProtoc), "--python_out="+stubs, "--grpc_out="+stubs,
		"--plugin=protoc-gen-grpc="+tool(t, "grpc_python_plugin", fromPython), "orders/v1/orders.proto")
	script := filepath.Join(repository(t), "examples/languages/python/client.py")
	return &languageClient{o, "Python", []string{python(t), script}, []string{"PYTHONPATH=" + stubs, "PYTHONUTF8=1"}}
}

func (o orders) typeScript(t *testing.T) *languageClient {
	npm, node := tool(t, "npm", fromNode), tool(t, "node", fromNode)
	from, dir := filepath.Join(repository(t), "examples/languages/typescript"), t.TempDir()
	modules := filepath.Join(repository(t), ".tools/typescript/node_modules")
	if _, err := os.Stat(modules); err != nil {
		missing(t, modules, fromNode)
	}
	for _, name := range []string{"client.ts", "package.json", "tsconfig.json"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	run(t, dir, npm, "run", "generate", "--", "-I", o.protos, "orders/v1/orders.proto")
	run(t, dir, npm, "run", "build")
	return &languageClient{o, "TypeScript", []string{node, filepath.Join(dir, "dist", "client.js")}, nil}
}

// TestLockFilesNameNoRegistry checks that npm takes the libraries of the clients from
// the registry that a machine is configured for.
func TestLockFilesNameNoRegistry(t *testing.T) {
	for _, at := range []string{"examples/languages/typescript/package-lock.json", "interop/typescript/package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(repository(t), at))
		if err != nil {
			t.Fatal(err)
		}
		for name, library := range decode[struct {
			Packages map[string]struct{ Version, Resolved string }
		}](t, string(text)).Packages {
			if library.Version == "" || library.Resolved != "" {
				t.Errorf("%s: %q has version %q and address %q, want a version and no address", at, name, library.Version, library.Resolved)
			}
		}
	}
}

// TestLanguagesPageShowsTheClients checks that the code on the page is that of the
// clients, which the test above runs.
func TestLanguagesPageShowsTheClients(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(repository(t), name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page := read("docs/languages.md")
	for language, client := range map[string]string{"python": read("examples/languages/python/client.py"), "ts": read("examples/languages/typescript/client.ts")} {
		blocks := regexp.MustCompile("(?ms)^```"+language+" [^\\n]*\\n(.*?)^```$").FindAllStringSubmatch(page, -1)
		if len(blocks) < 2 {
			t.Errorf("the page has %d blocks of %s, want some", len(blocks), language)
		}
		for _, block := range blocks {
			if !strings.Contains(client, block[1]) {
				t.Errorf("the client does not have this block of %s:\n%s", language, block[1])
			}
		}
	}
}

// to returns the program that makes calls to the server at an address.
func (c *languageClient) to(addr string, args ...string) program {
	return func(ctx context.Context) *exec.Cmd {
		args := slices.Concat(c.command[1:], []string{"--addr", addr}, args)
		command := exec.CommandContext(ctx, c.command[0], args...)
		command.Env = append(os.Environ(), c.env...)
		return command
	}
}

// send runs the client, and checks what it prints.
func (c *languageClient) send(t *testing.T, want, addr string, args ...string) {
	t.Helper()
	if output, err := finish(t, c.to(addr, args...)); err != nil || output != want+"\n" {
		t.Fatalf("%q: %v\n%s\nwant:\n%s", args, err, output, want)
	}
}

// stored returns the events in the log of a server.
func (c *languageClient) stored(t *testing.T, server *process) []stored {
	t.Helper()
	return replay(t, func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, c.server, "events", "replay", "--events", server.events)
	})
}

func (c *languageClient) sendsOnce(t *testing.T) {
	server := c.serve(t, newLog(t), "127.0.0.1:0")
	args := []string{"send", "--id", "order-1-placed", "--source", "shop", "--type", "placed", "--subject", "order-1",
		"--data", `{"amount": 42, "tags": ["żółć", null, true]}`}
	c.send(t, "position 1", server.addr, args...)
	c.send(t, "position 1, stored before", server.addr, args...)
	event := only(t, c.stored(t, server))
	if event.ID != "order-1-placed" || event.Source != "shop" || event.Type != "placed" || event.Subject != "order-1" {
		t.Errorf("stored: %s\nwant what was sent", show(t, event))
	}
	got := decode[map[string]any](t, string(event.Data))["data"]
	if want := decode[any](t, args[len(args)-1]); !reflect.DeepEqual(got, want) {
		t.Errorf("stored data %s, want %s", show(t, got), show(t, want))
	}
}

func (c *languageClient) sendsBatchOnce(t *testing.T) {
	server := c.serve(t, newLog(t), "127.0.0.1:0")
	for range 2 {
		lines := strings.NewReader(`{"event_type": "placed", "subject": "order-1"}` + "\n" + `{"event_type": "paid", "subject": "order-1"}` + "\n")
		output, err := finish(t, func(ctx context.Context) *exec.Cmd {
			command := c.to(server.addr, "batch", "--id", "import-7")(ctx)
			command.Stdin = lines
			return command
		})
		if want := "2 acknowledged, the last at position 2\n"; err != nil || output != want {
			t.Fatalf("batch: %v\n%s\nwant:\n%s", err, output, want)
		}
	}
	var got []string
	for _, event := range c.stored(t, server) {
		got = append(got, event.ID+" "+event.Type)
	}
	if want := []string{"import-7/1 placed", "import-7/2 paid"}; !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

func (c *languageClient) makesIDs(t *testing.T) {
	server := c.serve(t, newLog(t), "127.0.0.1:0")
	c.send(t, "position 1", server.addr, "send")
	c.send(t, "position 2", server.addr, "send")
	for _, event := range c.stored(t, server) {
		checkID(t, event.ID)
	}
}

func (c *languageClient) reportsConflict(t *testing.T) {
	server := c.serve(t, newLog(t), "127.0.0.1:0")
	c.send(t, "position 1", server.addr, "send", "--id", "same")
	output, err := finish(t, c.to(server.addr, "send", "--id", "same", "--type", "paid"))
	if err == nil || !strings.HasPrefix(output, "ALREADY_EXISTS: ") {
		t.Errorf("the client ended with %v and printed %q, want an error and ALREADY_EXISTS", err, output)
	}
}

func (c *languageClient) waitsForServer(t *testing.T) {
	log := newLog(t)
	server := c.serve(t, log, "127.0.0.1:0")
	c.send(t, "position 1", server.addr, "send", "--id", "before")
	server.stop()
	away, err := net.Listen("tcp", server.addr)
	if err != nil {
		t.Fatal(err)
	}
	sending := begin(t, c.to(server.addr, "send", "--id", "during"))
	conn, err := away.Accept() // so it was begun while the server was away
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	away.Close()
	server = c.serve(t, log, server.addr)
	sending.await(t, regexp.MustCompile(`(?m)^position 2$`), 1)
	c.send(t, "position 2, stored before", server.addr, "send", "--id", "during")
	if events := c.stored(t, server); len(events) != 2 {
		t.Errorf("stored %s\nwant two events", show(t, events))
	}
}

func (c *languageClient) tailGoesOn(t *testing.T) {
	log, file := newLog(t), filepath.Join(t.TempDir(), "position")
	printed := regexp.MustCompile(`(?m)^(\d+) placed (\w+)\n`)
	server := c.serve(t, log, "127.0.0.1:0")
	following := begin(t, c.to(server.addr, "tail", "--file", file))
	c.send(t, "position 1", server.addr, "send", "--subject", "first")
	following.await(t, printed, 1)
	server.stop()
	server = c.serve(t, log, server.addr)
	c.send(t, "position 2", server.addr, "send", "--subject", "second")
	following.await(t, printed, 2)
	following.stop()
	c.send(t, "position 3", server.addr, "send", "--subject", "third")
	again := begin(t, c.to(server.addr, "tail", "--file", file))
	again.await(t, regexp.MustCompile(`(?m)^3 placed third\n`), 1)
	// It may be killed before it has remembered the second.
	want := regexp.MustCompile(`\A1 placed first\n2 placed second\n(2 placed second\n)?3 placed third\n\z`)
	if got := following.printed() + again.printed(); !want.MatchString(got) {
		t.Errorf("the tails printed\n%s\nwant every event", got)
	}
}

func (c *languageClient) triesAgain(t *testing.T) {
	server := &refusing{times: 2, pushback: "1"}
	c.send(t, "position 0", server.serve(t), "send")
	ids := server.seen()
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Fatalf("the tries had the ids %q, want three times the same", ids)
	}
	checkID(t, ids[0])
}

func (c *languageClient) obeysPushback(t *testing.T) {
	server := &refusing{times: 1, pushback: "-1"}
	output, err := finish(t, c.to(server.serve(t), "send"))
	if err == nil || output != "UNAVAILABLE: not now\n" {
		t.Errorf("the client ended with %v and printed %q, want an error and UNAVAILABLE", err, output)
	}
	only(t, server.seen())
}

// newLog returns the path of a log that does not exist yet.
func newLog(t *testing.T) string { return filepath.Join(t.TempDir(), "orders.db") }

// refusing is a server that answers the first calls with UNAVAILABLE, and then every
// call with an empty reply.
type refusing struct {
	times    int
	pushback string // milliseconds until the next try

	mu  sync.Mutex
	ids []string // of all calls
}

func (r *refusing) serve(t *testing.T) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(r.answer))
	go func() { _ = server.Serve(listener) }() // it ends with the test
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func (r *refusing) answer(_ any, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	if deadline, ok := stream.Context().Deadline(); !ok || time.Until(deadline) > time.Minute {
		return status.Error(codes.InvalidArgument, "no deadline")
	}
	sent, _ := metadata.FromIncomingContext(stream.Context())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, strings.Join(sent.Get("event-id"), " "))
	if len(r.ids) <= r.times {
		stream.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", r.pushback))
		return status.Error(codes.Unavailable, "not now")
	}
	return stream.SendMsg(&emptypb.Empty{})
}

func (r *refusing) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}
