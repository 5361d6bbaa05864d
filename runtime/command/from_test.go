package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// memory is what a server has stored, by ids. It refuses a request whose username is bad.
type memory struct {
	mu     sync.Mutex
	stored map[string]string // the usernames
	took   int
	before func(n int) error // is asked before the nth request, from 1
}

func (s *memory) take(ctx context.Context, id, user string) (duplicate bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took++
	if s.before != nil {
		if err := s.before(s.took); err != nil {
			return false, err
		}
	}
	if strings.HasPrefix(user, "bad") {
		return false, status.Errorf(codes.InvalidArgument, "no user %s", user)
	}
	if s.stored == nil {
		s.stored = map[string]string{}
	}
	was, duplicate := s.stored[id]
	if duplicate && was != user {
		return false, status.Errorf(codes.AlreadyExists, "%s is %s", id, was)
	}
	s.stored[id] = user
	return duplicate, nil
}

func (s *memory) users() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Values(s.stored))
}

func (s *memory) unary(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	id := metadata.ValueFromIncomingContext(ctx, eventid.Key)[0]
	duplicate, err := s.take(ctx, id, string(request.GetPayload().GetBody()))
	if duplicate {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(duplicatesKey, "1"))
	}
	return &testpb.SimpleResponse{}, err
}

// events is a command that sends events to a memory.
var events = Command{
	Service: "grpc.testing.TestService", Name: "send", RPC: "UnaryCall", Event: true, Reads: true,
	Flags: echo.Flags, Call: echo.Call,
}

// user returns the lines of some users.
func userLines(users ...string) string {
	var text strings.Builder
	for _, user := range users {
		body, _ := json.Marshal([]byte(user))
		fmt.Fprintf(&text, `{"payload": {"body": %s}}`+"\n", body)
	}
	return text.String()
}

func numbered(n int) (users []string) {
	for i := range n {
		users = append(users, fmt.Sprintf("user-%05d", i))
	}
	return users
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sends runs a command with --from and --json, and returns its exit code and summary.
type summary struct {
	Line, Acknowledged, Refused int64
	Duplicates                  *int64
	code                        int
	err                         error
	stderr                      string
}

func sends(ctx context.Context, t *testing.T, command Command, addr string, args ...string) (s summary) {
	t.Helper()
	var out, errors bytes.Buffer
	env := Env{Program: "test-client", Args: append([]string{command.Name, "--json", "--addr", addr}, args...),
		Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &errors}
	s.err = Run(ctx, env, With([]Command{command}, From))
	if s.err != nil {
		s.code = exitCode(s.err)
	}
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &s); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
	}
	s.stderr = errors.String()
	return s
}

func (s summary) check(t *testing.T, code int, acknowledged, refused int64) {
	t.Helper()
	if s.code != code || s.Acknowledged != acknowledged || s.Refused != refused {
		t.Fatalf("the exit code is %d with %d acknowledged and %d refused, want %d with %d and %d: %v\n%s",
			s.code, s.Acknowledged, s.Refused, code, acknowledged, refused, s.err, s.stderr)
	}
}

func TestASecondRunStoresNothingTwice(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	users := numbered(300)
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines(append(users, users[0])...)) // a line twice is two events
	first := sends(t.Context(), t, events, addr, "--from", file)
	first.check(t, 0, 301, 0)
	if first.Duplicates != nil {
		t.Error("duplicates are counted though the server has reported none")
	}
	again := sends(t.Context(), t, events, addr, "--from", file)
	again.check(t, 0, 301, 0)
	if again.Duplicates == nil || *again.Duplicates != 301 {
		t.Errorf("%v of the second run are duplicates, want 301", again.Duplicates)
	}
	if got := s.users(); len(got) != 301 {
		t.Errorf("%d are stored", len(got))
	}
	if _, err := os.Stat(file + ".state.json"); !errors.Is(err, os.ErrNotExist) {
		t.Error("a complete run leaves its state")
	}
}

func TestRefusedLinesCanBeSentOnceTheyAreMended(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	dir := t.TempDir()
	text := userLines("a", "bad", "b") + "nonsense\n\n" + `{"nothing": 1}` + "\n{\"payload\": {\"body\": \"\xff\"}}\n" + strings.TrimSpace(userLines("c"))
	file := writeFile(t, filepath.Join(dir, "events.ndjson"), "\ufeff"+strings.ReplaceAll(text, "\n", "\r\n"))
	sends(t.Context(), t, events, addr, "--from", file).check(t, 3, 3, 4)
	lines, err := os.ReadFile(file + ".refused.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(lines)) {
		var one refusedLine
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d: %s", one.Refused.Line, one.Refused.Reason))
	}
	want := []string{
		"2: InvalidArgument: no user bad",
		"4: column 2: invalid character 'o' in literal null (expecting 'u')",
		`6: column 2: unknown field "nothing"`,
		"7: column 23: the text is not valid UTF-8",
	}
	if !slices.Equal(got, want) {
		t.Errorf("refused are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := `"data":"` + base64.StdEncoding.EncodeToString([]byte("{\"payload\": {\"body\": \"\xff\"}}")) + `"`; !strings.Contains(string(lines), want) {
		t.Errorf("the bytes of what is not a text are not in\n%s", lines)
	}
	mended := strings.NewReplacer("nonsense", `{\"fill_username\": true}`, `"nothing":1`, `"fill_username":true`, `"nothing": 1`, `"fill_username": true`).Replace(string(lines))
	next := writeFile(t, filepath.Join(dir, "mended.ndjson"), mended)
	sends(t.Context(), t, events, addr, "--from", next).check(t, 3, 2, 2)
	again := sends(t.Context(), t, events, addr, "--from", next, "--refused", filepath.Join(dir, "third.ndjson"))
	again.check(t, 3, 2, 2)
	if again.Duplicates == nil || *again.Duplicates != 2 {
		t.Error("what was mended has other ids in a second run")
	}
	if got := s.users(); !slices.Equal(got, []string{"", "", "a", "b", "c"}) {
		t.Errorf("stored are %q", got)
	}
}

// Wherever a run is interrupted, a later one leaves out no line.
func TestInterruptedRunsAreResumed(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	users := numbered(3000)
	users[77], users[1500] = "bad-77", "bad-1500"
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines(users...))
	for _, after := range []int{400, 900, 1500} {
		ctx, cancel := context.WithCancel(t.Context())
		s.mu.Lock()
		s.took = 0
		s.before = func(n int) error {
			if n == after {
				cancel()
			}
			return nil
		}
		s.mu.Unlock()
		got := sends(ctx, t, events, addr, "--from", file, "--resume", "--concurrency", "16")
		if got.code != exitInterrupted || !strings.Contains(fmt.Sprint(got.err), "go on with --resume") {
			t.Fatalf("the exit code is %d: %v", got.code, got.err)
		}
		if got.Line == 0 || got.Line >= 3000 {
			t.Fatalf("it was interrupted after line %d", got.Line)
		}
	}
	s.mu.Lock()
	s.before = nil
	s.mu.Unlock()
	sends(t.Context(), t, events, addr, "--from", file, "--resume").check(t, 3, 2998, 2)
	if got := s.users(); len(got) != 2998 || len(slices.Compact(got)) != 2998 {
		t.Errorf("%d are stored, want 2998 once each", len(got))
	}
	lines, _ := os.ReadFile(file + ".refused.ndjson")
	if n := bytes.Count(lines, []byte("\n")); n != 2 {
		t.Errorf("the file of refused lines has %d:\n%s", n, lines)
	}
}

// After SIGKILL the state may be older than what is stored, and the file of refused lines
// may have lines that will be refused again.
func TestAnOldStateLeavesNoLineOut(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	users := numbered(1000)
	users[300], users[800] = "bad-300", "bad-800"
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines(users...))
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(n int) error {
		if n == 500 {
			cancel()
		}
		return nil
	}
	sends(ctx, t, events, addr, "--from", file, "--concurrency", "4")
	old, err := os.ReadFile(file + ".state.json")
	if err != nil {
		t.Fatal(err)
	}
	s.before = nil
	sends(t.Context(), t, events, addr, "--from", file, "--resume").check(t, 3, 998, 2)
	writeFile(t, file+".state.json", string(old))
	sends(t.Context(), t, events, addr, "--from", file, "--resume").check(t, 3, 998, 2)
	lines, _ := os.ReadFile(file + ".refused.ndjson")
	if got := s.users(); len(got) != 998 || bytes.Count(lines, []byte("\n")) != 2 {
		t.Errorf("%d are stored, and refused are\n%s", len(got), lines)
	}
}

// A line that is refused and can't be kept is not done: a later run sends it again.
func TestALineThatCanNotBeKeptIsNotDone(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	users := numbered(200)
	users[100] = "bad"
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "events.ndjson"), userLines(users...))
	refused := filepath.Join(dir, "later", "refused.ndjson")
	got := sends(t.Context(), t, events, addr, "--from", file, "--refused", refused)
	if got.code != 1 || got.Line > 100 || !strings.Contains(fmt.Sprint(got.err), "can't be kept") {
		t.Fatalf("exit code %d after line %d: %v", got.code, got.Line, got.err)
	}
	if err := os.Mkdir(filepath.Dir(refused), 0o700); err != nil {
		t.Fatal(err)
	}
	sends(t.Context(), t, events, addr, "--from", file, "--refused", refused, "--resume").check(t, 3, 199, 1)
	if lines, err := os.ReadFile(refused); err != nil || bytes.Count(lines, []byte("\n")) != 1 {
		t.Errorf("it has %q, %v", lines, err)
	}
}

// What comes before the first line is read again by a run that goes on there.
func TestARunIsResumedBeforeItsFirstLine(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"events.csv":    "\ufeffpayload.body,response_size\nYQ==,1\nYg==,2\n",
		"events.ndjson": "\ufeff" + userLines("a", "b"),
	} {
		var s memory
		addr := serve(t, s.unary)
		s.before = func(int) error { return status.Error(codes.Unavailable, "away") }
		file := writeFile(t, filepath.Join(t.TempDir(), name), text)
		sends(t.Context(), t, events, addr, "--from", file, "--timeout", "300ms").check(t, exitInterrupted, 0, 0)
		s.mu.Lock()
		s.before = nil
		s.mu.Unlock()
		sends(t.Context(), t, events, addr, "--from", file, "--resume").check(t, 0, 2, 0)
		if got := s.users(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%s: stored are %q", name, got)
		}
	}
}

// How far a run has come may not be kept, and there may be no answer at all.
func TestARunEndsInWords(t *testing.T) {
	t.Parallel()
	s := memory{before: func(int) error { return status.Error(codes.Unavailable, "away") }}
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "events.ndjson"), userLines("a"))
	got := sends(t.Context(), t, events, serve(t, s.unary), "--from", file, "--state", filepath.Join(dir, "none", "state.json"), "--timeout", "10s")
	if text := fmt.Sprint(got.err); got.code != 1 || strings.Count(text, "can't be written") != 1 {
		t.Errorf("exit code %d, %s", got.code, text)
	}
	silent, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := silent.Accept(); err == nil {
			defer conn.Close()
			cancel()
			<-t.Context().Done()
		}
	}()
	if got := sends(ctx, t, events, silent.Addr().String(), "--from", file); got.code != exitInterrupted {
		t.Errorf("exit code %d, %v", got.code, got.err)
	}
}

// What one server has, another may not.
func TestARunIsResumedAtItsServer(t *testing.T) {
	t.Parallel()
	var one, other memory
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines(numbered(300)...))
	ctx, cancel := context.WithCancel(t.Context())
	one.before = func(n int) error {
		if n == 100 {
			cancel()
		}
		return nil
	}
	sends(ctx, t, events, serve(t, one.unary), "--from", file, "--concurrency", "4")
	addr := serve(t, other.unary)
	if got := sends(t.Context(), t, events, addr, "--from", file, "--resume"); got.code != 1 || !strings.Contains(fmt.Sprint(got.err), "and not to "+addr) {
		t.Errorf("exit code %d, %v", got.code, got.err)
	}
	sends(t.Context(), t, events, addr, "--from", file).check(t, 0, 300, 0)
	if n := len(other.users()); n != 300 {
		t.Errorf("%d are stored", n)
	}
}

// Two runs with the same files would write into each other's.
func TestAFileIsSentByOneRunAtATime(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines("a"))
	other, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if isLocked(other) {
		t.Fatal("a file that nobody has is locked")
	}
	if again, err := os.Open(file); err != nil || !isLocked(again) {
		t.Skipf("the file system has no locks, %v", err)
	}
	got := sends(t.Context(), t, events, addr, "--from", file)
	if got.code != 1 || !strings.Contains(fmt.Sprint(got.err), "another run: wait for that, or name other files") {
		t.Errorf("exit code %d, %v", got.code, got.err)
	}
	sends(t.Context(), t, events, addr, "--from", file, "--state", file+".mine", "--refused", file+".refused").check(t, 0, 1, 0)
}

// The standard input can't be read again, so what an earlier run refused of it stays.
func TestRefusedLinesOfTheStandardInputStay(t *testing.T) {
	t.Parallel()
	refused := writeFile(t, filepath.Join(t.TempDir(), "refused.ndjson"), `{"@refused": the disk was fu`)
	for _, text := range []string{"one", "two"} {
		var out bytes.Buffer
		env := Env{Program: "test-client", Args: []string{"send", "--addr", serve(t, new(memory).unary), "--from", "-", "--refused", refused},
			Getenv: func(string) string { return "" }, Stdout: &out, Stdin: strings.NewReader(text)}
		if err := Run(t.Context(), env, With([]Command{events}, From)); exitCode(err) != exitRefused {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(refused)
	lines := strings.Split(string(text), "\n")
	if err != nil || len(lines) != 4 || !strings.Contains(lines[1], `"text":"one"`) || !strings.Contains(lines[2], `"text":"two"`) {
		t.Errorf("it has %q, %v", lines, err)
	}
}

func TestAFileThatHasChangedIsNotResumed(t *testing.T) {
	t.Parallel()
	var s memory
	addr := serve(t, s.unary)
	for name, test := range map[string]struct {
		change func(file, text string)
		want   string
	}{
		"longer":  {func(file, text string) { writeFile(t, file, strings.Replace(text, "body", "type", 1)+userLines("new")) }, "has changed"},
		"edited":  {func(file, text string) { writeFile(t, file, strings.Replace(text, "body", "type", 1)) }, "has changed"},
		"shorter": {func(file, text string) { writeFile(t, file, text[:len(text)/2]) }, "has changed"},
		"touched": {func(file, _ string) { _ = os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)) }, "was written"},
	} {
		text := userLines(numbered(200)...)
		file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), text)
		ctx, cancel := context.WithCancel(t.Context())
		s.mu.Lock()
		s.took = 0
		s.before = func(n int) error {
			if n == 50 {
				cancel()
			}
			return nil
		}
		s.mu.Unlock()
		sends(ctx, t, events, addr, "--from", file, "--concurrency", "2")
		test.change(file, text)
		got := sends(t.Context(), t, events, addr, "--from", file, "--resume")
		if got.code != 1 || !strings.Contains(fmt.Sprint(got.err), test.want) {
			t.Errorf("%s: exit code %d, %v", name, got.code, got.err)
		}
	}
}

// What was in a file that has grown keeps its ids, and what was added is left to its owner.
func TestAFileThatHasGrownIsResumedAsItWas(t *testing.T) {
	t.Parallel()
	csv := "payload.body\n"
	for _, user := range numbered(200) {
		csv += base64.StdEncoding.EncodeToString([]byte(user)) + "\n"
	}
	for name, test := range map[string]struct{ text, more, hint string }{
		"ndjson": {userLines(numbered(200)...), userLines("new"), "tail -c +%[1]d '%[2]s' > NEW-FILE"},
		"csv":    {csv, "bmV3\n", "(head -n 1 '%[2]s'; tail -c +%[1]d '%[2]s') > NEW-FILE"},
	} {
		var s memory
		ctx, cancel := context.WithCancel(t.Context())
		file := writeFile(t, filepath.Join(t.TempDir(), "events."+name), test.text)
		s.before = func(n int) error {
			if n == 1 { // if the process is killed now, the next one knows what the lines are
				if _, err := os.Stat(file + ".state.json"); err != nil {
					t.Error(err)
				}
			}
			if n == 50 {
				cancel()
			}
			return nil
		}
		addr := serve(t, s.unary)
		sends(ctx, t, events, addr, "--from", file, "--concurrency", "2")
		writeFile(t, file, test.text+test.more)
		got := sends(t.Context(), t, events, addr, "--from", file, "--resume")
		if got.code != 1 || !strings.Contains(fmt.Sprint(got.err), fmt.Sprintf(test.hint, len(test.text)+1, file)) {
			t.Errorf("%s: exit code %d, %v", name, got.code, got.err)
		}
		if got := s.users(); !slices.Equal(got, numbered(200)) {
			t.Errorf("%s: %d events are stored", name, len(got))
		}
		if got := sends(t.Context(), t, events, addr, "--from", file, "--resume"); !strings.Contains(got.stderr, "all lines are sent") {
			t.Errorf("%s: without a state it says %q", name, got.stderr)
		}
	}
}

func TestWithoutAServerARunCanBeResumed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines("a"))
	if got := sends(t.Context(), t, events, addr, "--from", file, "--resume"); got.code != exitInterrupted || !strings.Contains(fmt.Sprint(got.err), "no server at "+addr) {
		t.Errorf("exit code %d, %v", got.code, got.err)
	}
}

func TestLinesAreSentAgainWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	var s memory
	s.before = func(n int) error {
		switch {
		case n%7 == 0:
			return status.Error(codes.Unavailable, "away")
		case n%50 == 1:
			return status.Error(codes.Internal, "a fault")
		}
		return nil
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines(numbered(200)...))
	sends(t.Context(), t, events, serve(t, s.unary), "--from", file).check(t, 0, 200, 0)
	if len(s.users()) != 200 {
		t.Errorf("%d are stored", len(s.users()))
	}
}

func TestAServerThatTakesNothingEndsTheRun(t *testing.T) {
	t.Parallel()
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines(numbered(20)...))
	var s memory
	s.before = func(int) error { return status.Error(codes.Unavailable, "away") }
	got := sends(t.Context(), t, events, serve(t, s.unary), "--from", file, "--timeout", "500ms")
	if got.code != 4 || !strings.Contains(fmt.Sprint(got.err), "its last answer was Unavailable: away (lines up to 0 are done: go on with --resume)") {
		t.Errorf("exit code %d, %v", got.code, got.err)
	}
	s.mu.Lock()
	s.before = func(int) error { return status.Error(codes.Unauthenticated, "who?") }
	s.mu.Unlock()
	got = sends(t.Context(), t, events, serve(t, s.unary), "--from", file)
	if got.code != 1 || !strings.Contains(fmt.Sprint(got.err), "Unauthenticated: who?") {
		t.Errorf("exit code %d, %v", got.code, got.err)
	}
}

func TestIDsFromAField(t *testing.T) {
	t.Parallel()
	var s memory
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), `{"response_size": 7, "payload": {"body": "YQ=="}}
{"response_size": 8, "payload": {"body": "Yg=="}}
{"payload": {"body": "Yg=="}}
`)
	sends(t.Context(), t, events, serve(t, s.unary), "--from", file, "--id-field", "responseSize").check(t, 3, 2, 1)
	if got := slices.Sorted(maps.Keys(s.stored)); !slices.Equal(got, []string{"7", "8"}) {
		t.Errorf("the ids are %q", got)
	}
}

func TestFromMisuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "events.ndjson"), userLines("a"))
	link := filepath.Join(dir, "link")
	if err := os.Link(file, link); err != nil {
		t.Fatal(err)
	}
	empty := writeFile(t, filepath.Join(dir, "empty.csv"), "")
	pretty := writeFile(t, filepath.Join(dir, "wide.ndjson"), "\xff\xfe{\x00")
	for args, want := range map[string]string{
		"--resume":                                    "--resume needs --from",
		"--from - --resume":                           "need a file",
		"--from " + file + " --format xml":            `no format "xml"`,
		"--from " + file + " --concurrency 0":         "want a number from 1",
		"--from " + file + " --event-id x":            "exclude each other",
		"--from " + file + " --state " + file:         "must be different files",
		"--from " + file + " --refused " + link:       "must be different files",
		"--from " + empty:                             "the file is empty",
		"--from " + file + " --id-field payload":      "neither a string nor an integer",
		"--from " + file + " --id-field payload.what": `no field "what"; it has`,
		"--from " + dir:                               "is a folder",
		"--from " + dir + "/none":                     "no such file",
		"--from " + pretty:                            "UTF-16",
	} {
		got := sends(t.Context(), t, events, "localhost:1", strings.Fields(args)...)
		if got.code == 0 || !strings.Contains(fmt.Sprint(got.err), want) {
			t.Errorf("%s: %v, want %s", args, got.err, want)
		}
	}
}

// fakeLane answers without a server.
type fakeLane func(id string, requests [][]byte) laneAnswer

func (f fakeLane) send(_ context.Context, id string, requests [][]byte, done func(laneAnswer)) error {
	go func() { done(f(id, requests)) }()
	return nil
}

func (f fakeLane) close() error { return nil }

// feeds sends lines by a lane, and returns the reasons for those that are refused.
func feeds(t *testing.T, c Command, lane lane, text string, prepare ...func(*feeder)) (refused []string, done tally) {
	t.Helper()
	request := c.Call.request()
	f := &from{command: c, parsed: &parsed{request: request}}
	feed, err := f.feeder(&source{reader: strings.NewReader(text), size: int64(len(text))})
	if err != nil {
		t.Fatal(err)
	}
	feed.lane, feed.patience = lane, time.Minute
	feed.refuse = func(all []rejection) error {
		for _, r := range all {
			refused = append(refused, fmt.Sprintf("%d: %s", r.line.number, r.reason))
		}
		return nil
	}
	for _, prepare := range prepare {
		prepare(feed)
	}
	if err := feed.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return refused, feed.done
}

// batches is a command whose request is a batch of messages with a number.
var batches = Command{Name: "batch", RPC: "X", Service: "S", Event: true, Batch: "response_parameters",
	Call: Call{request: func() proto.Message { return &testpb.StreamingOutputCallRequest{} }, reply: empty[*testpb.SimpleResponse]}}

func numberLines(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"size": %d}`+"\n", i+1)
	}
	return text.String()
}

// A batch is stored whole or not at all. Of one that is refused each line is sent by
// itself, with the id that it has in the batch.
func TestALineOfABatchIsRefused(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ids := map[string]int32{}
	run := func(bad ...int32) (refused []string, done tally) {
		return feeds(t, batches, fakeLane(func(id string, requests [][]byte) laneAnswer {
			var request testpb.StreamingOutputCallRequest
			if err := proto.Unmarshal(requests[0], &request); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, one := range request.GetResponseParameters() {
				if slices.Contains(bad, one.GetSize()) {
					return laneAnswer{err: status.Error(codes.InvalidArgument, "bad")}
				}
			}
			for i, one := range request.GetResponseParameters() {
				event := id
				if len(request.GetResponseParameters()) > 1 {
					event = fmt.Sprintf("%s/%d", id, i+1)
				}
				if was, ok := ids[event]; ok && was != one.GetSize() {
					t.Errorf("%s is %d and %d", event, was, one.GetSize())
				}
				ids[event] = one.GetSize()
			}
			return laneAnswer{}
		}), numberLines(1700))
	}
	refused, done := run(3, 1200)
	if want := []string{"3: InvalidArgument: bad", "1200: InvalidArgument: bad"}; !slices.Equal(refused, want) {
		t.Errorf("refused are %q", refused)
	}
	if done.Acknowledged != 1698 || len(ids) != 1698 {
		t.Errorf("%d are acknowledged and %d stored", done.Acknowledged, len(ids))
	}
	run() // the server takes them now
	if len(ids) != 1700 {
		t.Errorf("after a second run %d are stored", len(ids))
	}
}

// A stream stores what comes before a line that is refused. Its lines have the same ids
// however often it is sent.
func TestALineOfAStreamIsRefused(t *testing.T) {
	t.Parallel()
	command := upload
	command.RPC, command.Service, command.Event = "X", "S", true
	command.Call.request = func() proto.Message { return &testpb.ResponseParameters{} }
	var mu sync.Mutex
	stored := map[string]int32{}
	calls, sent := 0, 0
	bad := []int32{1, 500, 2500, 2501}
	lane := func(bad ...int32) (refused []string, done tally) {
		return feeds(t, command, fakeLane(func(id string, requests [][]byte) laneAnswer {
			mu.Lock()
			defer mu.Unlock()
			calls++
			sent += len(requests)
			for i, data := range requests {
				var one testpb.ResponseParameters
				if err := proto.Unmarshal(data, &one); err != nil {
					t.Error(err)
				}
				if slices.Contains(bad, one.GetSize()) {
					return laneAnswer{err: status.Error(codes.InvalidArgument, "bad")}
				}
				event := fmt.Sprintf("%s/%d", id, i+1)
				if was, ok := stored[event]; ok && was != one.GetSize() {
					t.Errorf("%s is %d and %d", event, was, one.GetSize())
				}
				stored[event] = one.GetSize()
			}
			return laneAnswer{}
		}), numberLines(3000))
	}
	refused, done := lane(bad...)
	if len(refused) != 4 || refused[3] != "2501: InvalidArgument: bad" || done.Acknowledged != 2996 || len(stored) != 2996 {
		t.Errorf("refused are %q, %d are acknowledged and %d stored", refused, done.Acknowledged, len(stored))
	}
	if calls > 100 {
		t.Errorf("it took %d calls", calls)
	}
	var many []int32
	for i := int32(5); i <= 3000; i += 10 {
		many = append(many, i)
	}
	stored, sent = map[string]int32{}, 0
	if refused, done := lane(many...); len(refused) != 300 || done.Acknowledged != 2700 || len(stored) != 2700 {
		t.Errorf("%d are refused, %d acknowledged and %d stored", len(refused), done.Acknowledged, len(stored))
	}
	if sent > 20_000 {
		t.Errorf("%d lines were sent for 3000", sent)
	}
}

// What a server has not read is not acknowledged.
func TestAServerThatEndsAStreamEarlyEndsTheRun(t *testing.T) {
	t.Parallel()
	addr := start(t, streamServer{upload: func(stream uploadServer) error {
		_, err := stream.Recv()
		return cmp.Or(err, stream.SendAndClose(&testpb.StreamingInputCallResponse{}))
	}})
	command := upload
	command.Service, command.RPC = "grpc.testing.TestService", "StreamingInputCall"
	file := writeFile(t, filepath.Join(t.TempDir(), "events.ndjson"), userLines(slices.Repeat([]string{strings.Repeat("x", 1000)}, 1000)...))
	got := sends(t.Context(), t, command, addr, "--from", file)
	if got.check(t, 1, 0, 0); !strings.Contains(fmt.Sprint(got.err), "the server ended a call without an error") {
		t.Errorf("it fails with %v", got.err)
	}
}

// A message that has a field for the id gets it there: then a line has it in any call, also
// if a line before it is no longer refused.
func TestAFieldForTheIDHasIt(t *testing.T) {
	t.Parallel()
	command := upload
	command.RPC, command.Service, command.Event, command.ID = "X", "S", true, "response_status.message"
	command.Call.request = func() proto.Message { return &testpb.SimpleRequest{} }
	lines := `{"response_status": {"code": 1}}
{"response_status": {"code": 2}}
{"response_status": {"code": 3, "message": "mine"}}
{"response_status": {"code": 4}}
{}
`
	stored := map[string]int32{}
	bad := int32(2)
	var calls int
	lane := fakeLane(func(_ string, requests [][]byte) laneAnswer { // calls follow each other
		calls++
		for _, data := range requests {
			var one testpb.SimpleRequest
			if err := proto.Unmarshal(data, &one); err != nil {
				t.Error(err)
			}
			if one.GetResponseStatus().GetCode() == bad {
				return laneAnswer{err: status.Error(codes.InvalidArgument, "bad")}
			}
			stored[one.GetResponseStatus().GetMessage()] = one.GetResponseStatus().GetCode()
		}
		return laneAnswer{}
	})
	feeds(t, command, lane, lines)
	if len(stored) != 4 || stored["mine"] != 3 || stored[""] != 0 {
		t.Errorf("stored are %v", stored)
	}
	bad = -1
	feeds(t, command, lane, lines)
	if len(stored) != 5 || stored["mine"] != 3 {
		t.Errorf("after a second run are stored %v", stored)
	}
	calls = 0
	feeds(t, command, lane, lines, func(f *feeder) {
		f.decode.idField, _ = fieldPath((&testpb.SimpleRequest{}).ProtoReflect().Descriptor(), "response_status.code")
	})
	if stored["1"] != 1 || stored["4"] != 4 || calls != 1 {
		t.Errorf("with ids from a field, stored are %v by %d calls", stored, calls)
	}
}

// One call at a time keeps the order of the file, also if a line must be sent again and if
// a batch is sent line by line.
func TestOneCallAtATimeKeepsTheOrder(t *testing.T) {
	t.Parallel()
	ordered := func(f *feeder) { f.ordered = true }
	var sizes []int32
	tries := map[string]int{}
	lane := fakeLane(func(id string, requests [][]byte) laneAnswer { // calls follow each other
		if tries[id]++; tries[id] == 1 && len(tries)%3 == 0 {
			return laneAnswer{err: status.Error(codes.Unavailable, "away")}
		}
		var request testpb.StreamingOutputCallRequest
		if err := proto.Unmarshal(requests[0], &request); err != nil {
			t.Error(err)
		}
		all := request.GetResponseParameters()
		if len(all) > 1 {
			return laneAnswer{err: status.Error(codes.InvalidArgument, "bad")}
		}
		sizes = append(sizes, all[0].GetSize())
		return laneAnswer{}
	})
	feeds(t, batches, lane, numberLines(9), ordered)
	if !slices.Equal(sizes, []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("the order of lines that are batches is %d", sizes)
	}
	var ids []string
	clear(tries)
	feeds(t, events, fakeLane(func(id string, _ [][]byte) laneAnswer {
		if tries[id]++; tries[id] == 1 && len(tries)%3 == 0 {
			return laneAnswer{err: status.Error(codes.Unavailable, "away")}
		}
		_, number, _ := strings.Cut(id, "-")
		ids = append(ids, number)
		return laneAnswer{}
	}), strings.Repeat("{}\n", 9), ordered)
	if got := strings.Join(ids, " "); got != "1 2 3 4 5 6 7 8 9" {
		t.Errorf("the order is %s", got)
	}
}

// Lines that can't be read are in memory until those before them are done.
func TestLinesThatCanNotBeReadAreBounded(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]Command{"lines": events, "batches": batches} {
		begun, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		var feed *feeder
		go func() {
			<-begun
			for held, last := 0, -1; held != last || held == 0; {
				time.Sleep(50 * time.Millisecond)
				feed.mu.Lock()
				last, held = held, feed.held+len(feed.waiting)
				feed.mu.Unlock()
			}
			feed.mu.Lock()
			if lines := len(feed.waiting); feed.held > maxUnderWay || lines > maxUnderWay {
				t.Errorf("%s: %d groups and %d lines are in memory", name, lines, feed.held)
			}
			feed.mu.Unlock()
			close(release)
		}()
		refused, _ := feeds(t, command, fakeLane(func(string, [][]byte) laneAnswer {
			once.Do(func() { close(begun) })
			<-release
			return laneAnswer{}
		}), strings.Repeat("{}\n", 500)+strings.Repeat("x\n", 3*maxUnderWay), func(f *feeder) {
			feed = f
			refuse := f.refuse
			f.refuse = func(all []rejection) error {
				if len(all) > maxBatch {
					t.Errorf("%s: a group has %d lines", name, len(all))
				}
				return refuse(all)
			}
		})
		if len(refused) != 3*maxUnderWay {
			t.Errorf("%s: %d are refused", name, len(refused))
		}
	}
}

// What is in memory does not grow with the file, also if one line holds up the others.
func TestALineThatIsHeldUpBoundsThoseAfterIt(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var mu sync.Mutex
	sent := 0
	var feed *feeder
	go func() {
		last := -1
		for { // until nothing more is sent
			time.Sleep(50 * time.Millisecond)
			mu.Lock()
			now := sent
			mu.Unlock()
			if now == last && now > 1 {
				break
			}
			last = now
		}
		feed.mu.Lock()
		if feed.held > maxUnderWay {
			t.Errorf("%d lines are in memory", feed.held)
		}
		feed.mu.Unlock()
		close(release)
	}()
	_, done := feeds(t, events, fakeLane(func(string, [][]byte) laneAnswer {
		mu.Lock()
		sent++
		first := sent == 1
		mu.Unlock()
		if first {
			<-release
		}
		return laneAnswer{}
	}), strings.Repeat("{}\n", 3*maxUnderWay), func(f *feeder) { feed = f })
	if done.Acknowledged != 3*maxUnderWay {
		t.Errorf("%d are acknowledged", done.Acknowledged)
	}
}
