package acceptance

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	fromPython = "apt-get install python3-grpcio python3-protobuf protobuf-compiler-grpc protobuf-compiler libprotobuf-dev"

	// greeting is what each client prints for each server's reply.
	greeting = "client status: 0 received: Hello, jerry!\n"

	// seedContext is the xcontext of the seed's client, the demo's original.
	// allOfJSON has every kind of value, with extreme ones.
	seedContext = `{"idfa": "idfa1", "amount": 123}`
	allOfJSON   = `{
		"null": null, "true": true, "false": false, "zero": 0, "negative": -0.5,
		"integer": 9007199254740992, "large": 1.7976931348623157e308, "small": 5e-324,
		"text": "żółć 漢字 😀 \u2028 \u0000 \" \\ \n <&>", "number in text": "123", "empty": "", "": "no key", "ключ": "key",
		"list": [1, "two", null, true, [[], [3]], {}, {"four": 4}], "no list": [],
		"object": {"nested": {"deeper": [{"deepest": null}]}}, "no object": {}
	}`
)

// TestPythonInteroperates connects programs in Python with the generated ones. Python's
// gRPC and protobuf share no code with Go's.
func TestPythonInteroperates(t *testing.T) {
	w := newWire(t)
	t.Run("Python client, generated server", func(t *testing.T) {
		t.Run("the seed's event is answered and stored", w.seedIsStored)
		t.Run("every kind of value is stored unchanged", w.structIsStored)
		t.Run("two equal events without an id are two", w.withoutID)
		t.Run("two equal events with one id are one", w.withOneID)
		t.Run("another event with the id of a stored one is refused", w.conflict)
		t.Run("an event that Python could not read back is refused", w.tooDeep)
	})
	t.Run("generated client, Python server", func(t *testing.T) {
		t.Run("the seed's event arrives and its reply is shown", w.seedArrives)
		t.Run("every kind of value arrives unchanged", w.structArrives)
		t.Run("the deepest Struct that is stored can be read", w.deepestArrives)
		t.Run("each event has a new id, or the one that it is given", w.idArrives)
	})
}

func (w *wire) seedIsStored(t *testing.T) {
	server := w.serveGo(t)
	w.sendPython(t, server)
	event := only(t, w.stored(t, server))
	want := stored{Position: 1, ID: event.ID, Source: "demo", Type: "install", Subject: "jerry",
		Time: time.Unix(123, 0).UTC(), Schema: "Event", Data: event.Data}
	if !reflect.DeepEqual(event, want) {
		t.Errorf("stored:\n%s\nwant:\n%s", show(t, event), show(t, want))
	}
	checkID(t, event.ID)
	checkSeed(t, event.Data)
}

func (w *wire) structIsStored(t *testing.T) {
	server := w.serveGo(t)
	w.sendPython(t, server, "--xcontext", allOfJSON)
	checkContext(t, only(t, w.stored(t, server)).Data, allOfJSON)
}

func (w *wire) withoutID(t *testing.T) {
	server := w.serveGo(t)
	w.sendPython(t, server)
	w.sendPython(t, server)
	events := w.stored(t, server)
	if len(events) != 2 || events[0].ID == events[1].ID {
		t.Fatalf("stored: %s\nwant two events of different ids", show(t, events))
	}
	for _, event := range events {
		checkSeed(t, event.Data)
	}
}

func (w *wire) withOneID(t *testing.T) {
	server := w.serveGo(t)
	// With many keys, because equal events may have them in different orders.
	w.sendPython(t, server, "--event-id", "order-1", "--xcontext", allOfJSON)
	w.sendPython(t, server, "--event-id", "order-1", "--xcontext", allOfJSON)
	event := only(t, w.stored(t, server))
	if event.ID != "order-1" {
		t.Errorf("stored under the id %q, want order-1", event.ID)
	}
	checkContext(t, event.Data, allOfJSON)
}

func (w *wire) conflict(t *testing.T) {
	server := w.serveGo(t)
	w.sendPython(t, server, "--event-id", "order-1")
	output, err := w.python3(t, "client.py", "--addr", server.addr, "--event-id", "order-1", "--xcontext", `{"idfa": "idfa1", "amount": 124}`)
	if err == nil || !strings.HasPrefix(output, "ALREADY_EXISTS: ") {
		t.Errorf("the client ended with %v and printed %q, want exit status 1 and ALREADY_EXISTS", err, output)
	}
	checkSeed(t, only(t, w.stored(t, server)).Data)
	w.sendPython(t, server, "--event-id", "order-1", "--appid", "another")
	if events := w.stored(t, server); len(events) != 2 {
		t.Errorf("stored: %s\nwant two events, because the ids of another application are different ones", show(t, events))
	}
}

// structs returns the JSON of this many Structs in each other.
func structs(levels int) string {
	return strings.Repeat(`{"a":`, levels) + "null" + strings.Repeat("}", levels)
}

func (w *wire) tooDeep(t *testing.T) {
	server := w.serveGo(t)
	w.sendPython(t, server, "--xcontext", structs(33))
	output, err := w.python3(t, "client.py", "--addr", server.addr, "--xcontext", structs(34))
	if err == nil || !strings.HasPrefix(output, "INVALID_ARGUMENT: not valid: xcontext.") {
		t.Errorf("the client ended with %v and printed %q, want exit status 1 and INVALID_ARGUMENT", err, output)
	}
	checkContext(t, only(t, w.stored(t, server)).Data, structs(33))
}

func (w *wire) deepestArrives(t *testing.T) {
	server := w.servePython(t)
	w.sendGo(t, server, structs(33))
	checkContext(t, only(t, arrived(t, server, 1)).Data, structs(33))
}

func (w *wire) seedArrives(t *testing.T) {
	server := w.servePython(t)
	w.sendGo(t, server, seedContext)
	checkSeed(t, only(t, arrived(t, server, 1)).Data)
}

func (w *wire) structArrives(t *testing.T) {
	server := w.servePython(t)
	w.sendGo(t, server, allOfJSON)
	checkContext(t, only(t, arrived(t, server, 1)).Data, allOfJSON)
}

func (w *wire) idArrives(t *testing.T) {
	server := w.servePython(t)
	w.sendGo(t, server, seedContext)
	w.sendGo(t, server, seedContext)
	w.sendGo(t, server, seedContext, "--event-id", "order-1")
	requests := arrived(t, server, 3)
	first, second, third := only(t, requests[0].IDs), only(t, requests[1].IDs), only(t, requests[2].IDs)
	checkID(t, first)
	checkID(t, second)
	if first == second {
		t.Errorf("two events were sent with the id %s", first)
	}
	if third != "order-1" {
		t.Errorf("the id order-1 was sent as %q", third)
	}
}

// wire has what runs the two sides: the folder of the generated programs, a Python
// interpreter, and the folder of its stubs of receiver.proto.
type wire struct{ programs, python, stubs string }

func newWire(t *testing.T) *wire {
	protoc, grpcPlugin := tool(t, "protoc", fromPython), tool(t, "grpc_python_plugin", fromPython)
	w := &wire{python: python(t), stubs: t.TempDir()}
	var err error
	if w.programs, err = demo(); err != nil {
		t.Fatal(err)
	}
	protos := filepath.Join(repository(t), "examples", "receiver")
	run(t, protos, protoc, "--python_out="+w.stubs, "--grpc_out="+w.stubs, "--plugin=protoc-gen-grpc="+grpcPlugin, "receiver.proto")
	return w
}

// python returns an interpreter that has gRPC. The distribution's own may have it even
// if the first on PATH does not.
func python(t *testing.T) string {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import grpc, google.protobuf").Run() == nil {
			return name
		}
	}
	missing(t, "a python3 that can import grpc", fromPython)
	return ""
}

// sendPython sends the seed's event, changed by args, to a server with the Python
// client, and expects the greeting.
func (w *wire) sendPython(t *testing.T, to *process, args ...string) {
	t.Helper()
	output, err := w.python3(t, "client.py", append([]string{"--addr", to.addr}, args...)...)
	if err != nil || output != greeting {
		t.Fatalf("client.py %q: %v\n%s\nwant:\n%s", args, err, output, greeting)
	}
}

// sendGo sends the seed's event, with the given xcontext, with the generated client.
func (w *wire) sendGo(t *testing.T, to *process, xcontext string, args ...string) {
	t.Helper()
	args = append([]string{"receive", "--addr", to.addr, "--appid", "demo", "--xwhen", "123", "--xwho", "jerry",
		"--xwhat", "install", "--xcontext", xcontext}, args...)
	output, err := finish(t, w.goProgram("receiver-client", args...))
	if err != nil || output != greeting {
		t.Fatalf("receiver-client %q: %v\n%s\nwant:\n%s", args, err, output, greeting)
	}
}

func (w *wire) python3(t *testing.T, script string, args ...string) (string, error) {
	t.Helper()
	return finish(t, w.pythonProgram(script, args...))
}

// serveGo starts the generated server with a new log.
func (w *wire) serveGo(t *testing.T) *process {
	t.Helper()
	events := "sqlite:" + filepath.Join(t.TempDir(), "receiver.db")
	server := start(t, w.goProgram("receiver-server", "--addr", "127.0.0.1:0", "--events", events))
	server.events = events
	return server
}

func (w *wire) servePython(t *testing.T) *process {
	t.Helper()
	return start(t, w.pythonProgram("server.py"))
}

// program returns a command that is killed when ctx ends.
type program func(ctx context.Context) *exec.Cmd

func (w *wire) goProgram(name string, args ...string) program {
	return func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(w.programs, name), args...)
	}
}

func (w *wire) pythonProgram(script string, args ...string) program {
	return func(ctx context.Context) *exec.Cmd {
		command := exec.CommandContext(ctx, w.python, append([]string{filepath.Join("testdata", "python", script)}, args...)...)
		command.Env = append(os.Environ(), "PYTHONPATH="+w.stubs, "PYTHONUTF8=1")
		return command
	}
}

// stepTimeout bounds each step of these programs.
const stepTimeout = time.Minute

// finish runs a program to its end, which must come soon, and returns what it
// printed.
func finish(t *testing.T, program program) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	command := program(ctx)
	command.WaitDelay = time.Second
	output, err := command.CombinedOutput()
	return string(output), err
}

// process is a program that runs until the test ends, or stop is called.
type process struct {
	addr   string // where it listens, if it is a server
	events string // the URL of its log, if it is the generated one
	stop   func() // ends it by SIGTERM, and returns when it has ended

	output
	ended chan struct{}
}

// servingAt matches what both servers print once they serve.
var servingAt = regexp.MustCompile(`\bserving addr=(127\.0\.0\.1:\d+)\s`)

// start starts a server and waits until it serves.
func start(t *testing.T, program program) *process {
	t.Helper()
	p := begin(t, program)
	p.addr = p.await(t, servingAt, 1)[0][1]
	return p
}

// begin starts a program. It stops it when the test ends, and logs what the program
// printed if the test has failed.
func begin(t *testing.T, program program) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{ended: make(chan struct{})}
	command := program(ctx)
	command.Stdout, command.Stderr = p, p
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second // then it is killed
	if err := command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		_ = command.Wait() // how it ends is not tested
		close(p.ended)
	}()
	p.stop = func() {
		cancel()
		<-p.ended
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s printed:\n%s", command, p.printed())
		}
	})
	return p
}

// await returns the matches of a pattern in what the process has printed, once there
// are at least wanted of them.
func (p *process) await(t *testing.T, pattern *regexp.Regexp, wanted int) [][]string {
	t.Helper()
	deadline := time.After(stepTimeout)
	for {
		ended := false
		select {
		case <-p.ended:
			ended = true
		default:
		}
		matches := pattern.FindAllStringSubmatch(p.printed(), -1)
		if len(matches) >= wanted {
			return matches
		}
		if ended {
			t.Fatal("the program ended early")
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-p.ended:
		case <-deadline:
			t.Fatalf("the program printed %d matches of %s within %s, want %d", len(matches), pattern, stepTimeout, wanted)
		}
	}
}

// stored is a stored event, as the generated server prints it.
type stored struct {
	Position int             `json:"position"`
	ID       string          `json:"id"`
	Source   string          `json:"source"`
	Type     string          `json:"type"`
	Subject  string          `json:"subject"`
	Time     time.Time       `json:"time"`
	Schema   string          `json:"dataschema"`
	Data     json.RawMessage `json:"data"`
}

// stored reads the log of a running server.
func (w *wire) stored(t *testing.T, server *process) (events []stored) {
	t.Helper()
	return replay(t, w.goProgram("receiver-server", "events", "replay", "--events", server.events))
}

// replay returns the events that a generated server's replay prints.
func replay(t *testing.T, program program) (events []stored) {
	t.Helper()
	output, err := finish(t, program)
	if err != nil {
		t.Fatalf("events replay: %v\n%s", err, output)
	}
	for line := range strings.Lines(output) {
		events = append(events, decode[stored](t, line))
	}
	return events
}

// request is a request as the server in Python prints it: its message, and every
// event-id in its metadata.
type request struct {
	IDs  []string        `json:"ids"`
	Data json.RawMessage `json:"data"`
}

var printedRequest = regexp.MustCompile(`(?m)^request: (.*)\n`)

// arrived returns the requests that the server in Python got, once there are at least
// wanted of them.
func arrived(t *testing.T, server *process, wanted int) (requests []request) {
	t.Helper()
	for _, match := range server.await(t, printedRequest, wanted) {
		requests = append(requests, decode[request](t, match[1]))
	}
	return requests
}

// checkSeed checks that data is the seed's event.
func checkSeed(t *testing.T, data []byte) {
	t.Helper()
	checkContext(t, data, seedContext)
}

// checkContext checks that data is the seed's event with another xcontext.
func checkContext(t *testing.T, data []byte, xcontext string) {
	t.Helper()
	got := decode[any](t, string(data))
	want := decode[any](t, `{"appid": "demo", "xwhen": 123, "xwho": "jerry", "xwhat": "install", "xcontext": `+xcontext+`}`)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("event:\n%s\nwant:\n%s", show(t, got), show(t, want))
	}
}

var uuidv7 = regexp.MustCompile(`^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// checkID checks that an id is a UUIDv7, which begins with the time at which it was made.
func checkID(t *testing.T, id string) {
	t.Helper()
	match := uuidv7.FindStringSubmatch(id)
	if match == nil {
		t.Errorf("id %q, want a UUIDv7", id)
		return
	}
	milliseconds, err := strconv.ParseInt(match[1]+match[2], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(time.UnixMilli(milliseconds)); age < -time.Second || age > time.Minute {
		t.Errorf("id %s was made %s ago, want now", id, age)
	}
}

// only returns the only item of a list.
func only[T any](t *testing.T, all []T) T {
	t.Helper()
	if len(all) != 1 {
		t.Fatalf("there are %d, want 1: %s", len(all), show(t, all))
	}
	return all[0]
}

func decode[T any](t *testing.T, text string) (value T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return value
}

// show returns a value as JSON, which has no unprintable characters.
func show(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
