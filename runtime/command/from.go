//runtime:used

package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// From gives each command that sends events a flag --from, with which it sends the lines
// of a file: JSON values, one in a line, or records of CSV.
//
// A line is a request, or an element of a batch: the same as on the standard input. Lines
// are sent many at a time, and again while the server is away or refuses them for a
// while. Each has an id that is always the same for the same line of the same file, so a
// second run stores nothing twice. Lines that the server refuses, or that can't be read,
// go to a file with their reasons; it can be sent itself, once they are mended.
//
// The exit code is 0 if all lines are stored, 3 if some were refused, 4 if the run was
// interrupted, or there was no server, or it took nothing for too long: then --resume goes
// on. It may send lines again, and leaves none out, also after SIGKILL. Other errors have 1 or
// 2, as with other commands. Memory does not grow with the file.
var From = Extension{flags: fromFlags}

// The exit codes of --from, besides those of every command.
const (
	exitRefused     = 3
	exitInterrupted = 4
)

// from is a run with --from.
type from struct {
	command Command
	env     Env
	parsed  *parsed
	set     *flag.FlagSet

	names       struct{ from, format, concurrency, idField, resume, state, refused string }
	file        string
	format      string
	concurrency int
	idField     string
	resume      bool
	state       string
	refused     string
	named       struct{ state, refused bool } // which of them flags name
}

func fromFlags(c Command, env Env, set *flag.FlagSet) added {
	if c.RPC == "" || env.plan != nil {
		return added{}
	}
	f := &from{command: c, env: env, set: set}
	n := &f.names
	for to, name := range map[*string]string{&n.from: "from", &n.format: "format", &n.concurrency: "concurrency",
		&n.idField: "id-field", &n.resume: "resume", &n.state: "state", &n.refused: "refused"} {
		*to = c.free(name)
	}
	set.StringVar(&f.file, n.from, "", "`FILE` whose lines to send, or - for the standard input")
	set.StringVar(&f.format, n.format, "", "`ndjson|csv` of it (default by its ending, or else ndjson)")
	set.IntVar(&f.concurrency, n.concurrency, 0, "`NUMBER` of calls that are made at once (default 1024, for streams 4; 1 keeps the order)")
	set.StringVar(&f.idField, n.idField, "", "`PATH` of the field that has the id of a line's event (default an id made of the file and the line)")
	set.BoolVar(&f.resume, n.resume, false, "go on where an earlier run was interrupted")
	set.StringVar(&f.state, n.state, "", "`FILE` that has how far a run has come (default FILE.state.json)")
	set.StringVar(&f.refused, n.refused, "", "`FILE` for lines that are refused (default FILE.refused.ndjson)")
	return added{title: "Lines of a file", names: []string{n.from, n.format, n.concurrency, n.idField, n.resume, n.state, n.refused}, parsed: f.check}
}

// check checks the flags, and has the command run with them.
func (f *from) check(p *parsed) error {
	given := func(name string) (found bool) {
		f.set.Visit(func(set *flag.Flag) { found = found || set.Name == name })
		return found
	}
	n := f.names
	if f.file == "" {
		for _, name := range []string{n.format, n.concurrency, n.idField, n.resume, n.state, n.refused} {
			if given(name) {
				return fmt.Errorf("--%s needs --%s", name, n.from)
			}
		}
		return nil
	}
	stream := f.file == "-"
	switch {
	case p.eventID != "":
		return fmt.Errorf("--event-id and --%s exclude each other: each line has an id (see --%s)", n.from, n.idField)
	case f.format != "" && f.format != "ndjson" && f.format != "csv":
		return fmt.Errorf("--%s: no format %q: want ndjson or csv", n.format, f.format)
	case given(n.concurrency) && (f.concurrency < 1 || f.concurrency > 10_000):
		return fmt.Errorf("--%s: want a number from 1 to 10000", n.concurrency)
	case stream && (f.resume || f.state != ""):
		return fmt.Errorf("--%s and --%s need a file: the standard input can't be read again", n.resume, n.state)
	}
	if f.format == "" {
		f.format = "ndjson"
		if strings.EqualFold(filepath.Ext(f.file), ".csv") {
			f.format = "csv"
		}
	}
	if f.concurrency == 0 {
		if f.concurrency = 1024; f.command.Call.manyRequests {
			f.concurrency = 4
		}
	}
	base := f.file
	if stream {
		base = f.command.Name
	}
	f.named.state, f.named.refused = f.state != "", f.refused != ""
	if !f.named.refused {
		f.refused = base + ".refused.ndjson"
	}
	if f.state == "" && !stream {
		f.state = base + ".state.json"
	}
	if sameFile(f.refused, f.file) || sameFile(f.state, f.refused) || sameFile(f.state, f.file) {
		return fmt.Errorf("--%s, --%s and --%s must be different files", n.from, n.state, n.refused)
	}
	f.parsed = p
	patience := 2 * time.Minute
	if given("timeout") {
		patience = p.timeout
	}
	p.instead = func(ctx context.Context) error { return f.run(ctx, patience) }
	return nil
}

// sameFile reports whether two names are of one file. "" is none.
func sameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	first, err := filepath.Abs(a)
	second, failed := filepath.Abs(b)
	if err == nil && failed == nil && first == second {
		return true
	}
	one, err := os.Stat(a)
	other, failed := os.Stat(b)
	return err == nil && failed == nil && os.SameFile(one, other)
}

// feeder returns what sends the lines of a source, without its lane.
func (f *from) feeder(s *source) (*feeder, error) {
	c := f.command
	feed := &feeder{command: c, many: 1, lines: newLineReader(s.reader, f.format == "csv")}
	request := c.Call.request()
	descriptor := request.ProtoReflect().Descriptor()
	empty := c.Call.request
	switch {
	case c.Batch != "":
		feed.batch = descriptor.Fields().ByName(protoreflect.Name(c.Batch))
		element := request.ProtoReflect().NewField(feed.batch).List()
		empty = func() proto.Message { return element.NewElement().Message().Interface() }
		descriptor, feed.many = feed.batch.Message(), maxBatch
	case c.Call.manyRequests:
		feed.many = maxStream
	}
	feed.decode = &decoder{empty: empty, identity: s.identity, chained: s.size < 0}
	if f.parsed.request != nil {
		var err error
		if feed.filled, err = (proto.MarshalOptions{AllowPartial: true}).Marshal(f.parsed.request); err != nil {
			return nil, err
		}
		feed.decode.partial = feed.batch == nil && len(feed.filled) > 0
	}
	if path, err := fieldPath(descriptor, c.ID); c.ID != "" && err == nil && path[len(path)-1].Kind() == protoreflect.StringKind {
		feed.decode.eventID = path
	}
	if f.idField != "" {
		path, err := fieldPath(descriptor, f.idField)
		if err == nil && (path[len(path)-1].Cardinality() == protoreflect.Repeated || path[len(path)-1].Kind() != protoreflect.StringKind && !isInteger(path[len(path)-1])) {
			err = fmt.Errorf("%s is neither a string nor an integer", path[len(path)-1].FullName())
		}
		if err != nil {
			return nil, exit{fmt.Errorf("--%s: %w", f.names.idField, err), exitMisused}
		}
		feed.decode.idField = path
	}
	if err := feed.lines.begin(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	if f.format == "csv" {
		header, err := feed.lines.next()
		if err == nil {
			err = header.err
		}
		if err == nil {
			feed.decode.columns, err = columnsOf(descriptor, header.cells)
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("it is missing: the file is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: the header, which names the fields: %w", s.name, err)
		}
	}
	feed.at = mark{feed.lines.number, feed.lines.offset}
	return feed, nil
}

// run sends the lines.
func (f *from) run(ctx context.Context, patience time.Duration) error {
	s, err := openSource(f.file, f.env.Stdin)
	if err != nil {
		return err
	}
	if s.file != nil {
		defer s.file.Close()
	}
	if s.size < 0 {
		if f.resume {
			return fmt.Errorf("%s is not a file that can be read again: leave out --%s", f.file, f.names.resume)
		}
		f.state = ""
	} else if (!f.named.state || !f.named.refused) && isLocked(s.file) {
		return fmt.Errorf("%s is being sent by another run: wait for that, or name other files with --%s and --%s", f.file, f.names.state, f.names.refused)
	}
	now := state{File: f.file, Size: s.size, Changed: s.changed, Identity: s.identity[:], Command: f.command.fullName(), Addr: f.parsed.addr, IDField: f.idField}
	if now.RefusedFile, err = filepath.Abs(f.refused); err != nil {
		return err
	}
	var was *state
	if f.resume {
		if was, err = loadState(f.state, s, now); err != nil {
			return err
		}
		if was == nil && f.env.Stderr != nil {
			fmt.Fprintf(f.env.Stderr, "%s: %s: there is no %s of an earlier run: all lines are sent\n", f.env.Program, f.command.Name, f.state)
		}
	}
	now.Size, now.Identity = s.size, s.identity[:] // of what was in the file, if it has grown
	feed, err := f.feeder(s)
	if err != nil {
		return err
	}
	refused := &refusedFile{path: f.refused, source: filepath.Base(f.file), decode: feed.decode, more: s.size < 0}
	if was != nil {
		if err := f.goOn(feed, s, refused, was); err != nil {
			return err
		}
		now.RefusedFile = was.RefusedFile
	}
	feed.refuse, feed.patience, feed.ordered = refused.add, patience, f.concurrency == 1
	if err := f.save(feed, refused, now); err != nil { // from the first call on it is known what the lines are
		return err
	}
	if feed.lane, err = f.command.dialLane(ctx, f.env, f.parsed, f.concurrency, false); err != nil {
		switch {
		case ctx.Err() != nil:
			return exit{errInterrupted, exitInterrupted}
		case errors.Is(err, client.ErrNoServer):
			return exit{err, exitInterrupted}
		}
		return err
	}
	defer feed.lane.close()
	return f.finish(ctx, feed, s, refused, now)
}

// goOn has a feeder go on where an earlier run was interrupted.
func (f *from) goOn(feed *feeder, s *source, refused *refusedFile, was *state) error {
	if !sameFile(was.RefusedFile, f.refused) {
		if f.named.refused {
			return fmt.Errorf("lines that the earlier run could not send are in %s: leave out --%s", was.RefusedFile, f.names.refused)
		}
		refused.path = was.RefusedFile
	}
	if err := refused.resume(was.RefusedBytes); err != nil {
		return err
	}
	feed.done, feed.live = was.Lines, was.Lines
	if was.At.Offset <= feed.at.Offset {
		return nil // no line was done, and what comes before them is read
	}
	if err := s.goTo(was.At.Offset); err != nil {
		return err
	}
	feed.lines = newLineReader(s.reader, feed.lines.csv)
	feed.lines.number, feed.lines.offset = was.At.Line, was.At.Offset
	feed.at = was.At
	return nil
}

// finish runs a feeder, shows and saves how far it is, and says what came of it.
func (f *from) finish(ctx context.Context, feed *feeder, s *source, refused *refusedFile, now state) error {
	begin, earlier := time.Now(), feed.live
	shown := newBar(f.env, f.env.Program+": "+f.command.Name, s.size, earlier, feed.at.Offset)
	ended := make(chan error, 1)
	go func() { ended <- feed.run(ctx) }()
	ticker := time.NewTicker(barEvery)
	defer ticker.Stop()
	saved := time.Now()
	var err error
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case at := <-ticker.C:
			live, offset := feed.shown()
			shown.show(at, live, offset)
			if time.Since(saved) >= time.Second {
				saved = time.Now()
				if failed := f.save(feed, refused, now); failed != nil {
					feed.fail(failed)
				}
			}
		}
	}
	shown.end()
	if err == nil && s.isChanged() {
		err = fmt.Errorf("%s was changed while it was read: what was in it when it was opened is sent, as far as it was still there", s.name)
	}
	err = f.outcome(ctx, feed, s, refused, now, err)
	f.report(feed, s, refused, earlier, time.Since(begin))
	return err
}

var errInterrupted = errors.New("interrupted")

// saveError is why it can't be kept how far a run has come.
type saveError struct{ error }

func (e saveError) Unwrap() error { return e.error }

// outcome returns the error of a run in words of whoever made it, with how to go on.
func (f *from) outcome(ctx context.Context, feed *feeder, s *source, refused *refusedFile, now state, err error) error {
	if err == nil {
		if failed := refused.sync(); failed != nil {
			return failed
		}
		if f.state != "" {
			_ = os.Remove(f.state)
		}
		if feed.done.Refused > 0 {
			err = exit{fmt.Errorf("%s refused: see %s, which can be sent with --%s once it is mended", counted(int(feed.done.Refused), "line"), refused.path, f.names.from), exitRefused}
		}
		if s.whole > s.size {
			err = errors.Join(err, f.grown(s))
		}
		return err
	}
	code := exitCode(err)
	if errors.As(err, new(saveError)) {
		return err
	}
	if ctx.Err() != nil {
		err, code = errInterrupted, exitInterrupted
	} else {
		err = f.parsed.callError(context.Background(), err)
	}
	if f.state == "" {
		return exit{fmt.Errorf("%s: %w (lines up to %d are done)", s.name, err, feed.at.Line), code}
	}
	if failed := f.save(feed, refused, now); failed != nil {
		return errors.Join(err, failed)
	}
	return exit{fmt.Errorf("%s: %w (lines up to %d are done: go on with --%s)", s.name, err, feed.at.Line, f.names.resume), code}
}

// grown is the error of a file that has grown since the run that was resumed.
func (f *from) grown(s *source) error {
	name := "'" + strings.ReplaceAll(s.name, "'", `'\''`) + "'" // for a shell
	rest := fmt.Sprintf("tail -c +%d %s", s.size+1, name)
	if f.format == "csv" {
		rest = fmt.Sprintf("(head -n 1 %s; %s)", name, rest)
	}
	return fmt.Errorf("%s has grown by %d bytes since the run that was resumed, and they are not sent. Send them by themselves: %s > NEW-FILE", s.name, s.whole-s.size, rest)
}

// save writes the state.
func (f *from) save(feed *feeder, refused *refusedFile, now state) error {
	if f.state == "" {
		return nil
	}
	feed.mu.Lock()
	now.At, now.Lines, now.RefusedBytes = feed.at, feed.done, refused.written
	feed.mu.Unlock()
	text, err := json.MarshalIndent(now, "", "  ")
	if err == nil {
		err = refused.sync()
	}
	if err == nil {
		err = saveFile(f.state, append(text, '\n'))
	}
	if err != nil {
		return saveError{fmt.Errorf("what --%s goes on with can't be written: %w (--%s names another place)", f.names.resume, err, f.names.state)}
	}
	return nil
}

// report prints what came of the lines.
func (f *from) report(feed *feeder, s *source, refused *refusedFile, earlier tally, took time.Duration) {
	t := feed.live
	rate := float64(t.Acknowledged+t.Refused-earlier.Acknowledged-earlier.Refused) / max(took.Seconds(), 1e-3)
	if f.parsed.json {
		summary := struct {
			File         string  `json:"file"`
			Line         int64   `json:"line"`
			Acknowledged int64   `json:"acknowledged"`
			Duplicates   *int64  `json:"duplicates"` // null: the server does not say so
			Refused      int64   `json:"refused"`
			RefusedFile  string  `json:"refusedFile,omitempty"`
			Seconds      float64 `json:"seconds"`
			Rate         float64 `json:"eventsPerSecond"`
		}{File: f.file, Line: feed.at.Line, Acknowledged: t.Acknowledged, Refused: t.Refused, Seconds: took.Seconds(), Rate: rate}
		if t.Told {
			summary.Duplicates = &t.Duplicates
		}
		if t.Refused > 0 {
			summary.RefusedFile = refused.path
		}
		if text, err := json.Marshal(summary); err == nil {
			_ = write(f.env.Stdout, string(text)+"\n")
		}
	}
	if f.env.Stderr == nil {
		return
	}
	fmt.Fprintf(f.env.Stderr, "%s: %s: %s: %s acknowledged, %s of them duplicates, %s refused; %v, %s events/s\n", f.env.Program, f.command.Name,
		terminal.Text(s.name), grouped(t.Acknowledged), t.doubles(), grouped(t.Refused), took.Round(10*time.Millisecond), grouped(int64(rate)))
}

// shown returns what the bar shows.
func (f *feeder) shown() (live tally, offset int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live, f.at.Offset
}
