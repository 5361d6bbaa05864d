package publisher

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// refusedName is the name of the file in the folder of a spool that has the events which
// the service refused for good, one on each line.
const refusedName = "refused.ndjson"

// redrivingName is the name of the file whose events are being published again.
const redrivingName = "refused.ndjson.again"

// unreadableName is the name of the file that has lines which can't be read.
const unreadableName = "refused.ndjson.bad"

// refusal is an event that the service refuses.
type refusal struct {
	event *event
	why   *status.Status
}

// refusedEvent is a line of the file.
type refusedEvent struct {
	ID      string          `json:"id"`
	Source  string          `json:"source,omitempty"`
	Type    string          `json:"type"`
	Subject string          `json:"subject,omitempty"`
	Message string          `json:"message"`         // full name of the type of the event
	RPC     string          `json:"rpc,omitempty"`   // that refused it
	Code    string          `json:"code"`            // of gRPC
	Reason  string          `json:"reason"`          // in words
	Time    time.Time       `json:"time"`            // when it was refused
	Event   json.RawMessage `json:"event,omitempty"` // as JSON, if this program knows the type
	Data    []byte          `json:"data"`            // as protobuf, in base64
	Outside bool            `json:"id_with_call,omitempty"`
	Parent  string          `json:"traceparent,omitempty"`
	Spool   string          `json:"spool,omitempty"` // where it was in the spool
}

// refusedFile is the file. Its zero value is that of a publisher in memory.
type refusedFile struct {
	dir        string
	unreadable int        // lines that were moved to another file when it was opened
	redriving  sync.Mutex // one Redrive at a time, and none after Close

	mu    sync.Mutex
	file  *os.File
	torn  bool            // a part of it is to be cut off before more is written
	whole int64           // its size without that
	known map[string]bool // places in the spool of events that are refused, and are still there
}

// openRefused opens the file in a folder, for a spool whose first record has an id. Lines
// that can't be read, such as those that somebody has edited, go to a file of their own.
func openRefused(dir, first string) (*refusedFile, error) {
	r := &refusedFile{dir: dir, known: map[string]bool{}}
	know := func(line *refusedEvent, _ int64) error {
		if first != "" && line.Spool >= first { // ids of records grow
			r.known[line.Spool] = true
		}
		return nil
	}
	for _, name := range []string{redrivingName, refusedName} {
		if err := r.setAside(name, know); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
	}
	if err := r.reopen(); err != nil {
		return nil, err
	}
	return r, nil
}

// reopen opens the file that now has the name, unless it is open. Somebody may have removed
// the file or edited it, and many editors write another one: what is written to one that has
// no name is lost.
func (r *refusedFile) reopen() error {
	path := filepath.Join(r.dir, refusedName)
	if r.file != nil {
		named, err := os.Stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if opened, statErr := r.file.Stat(); err == nil && statErr == nil && os.SameFile(named, opened) {
			return nil
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := syncDir(r.dir); err != nil {
		return errors.Join(err, file.Close())
	}
	if r.file != nil {
		_ = r.file.Close()
	}
	r.file, r.torn = file, false
	return nil
}

// ends reports whether what is in the file, so many bytes, ends with a line feed.
func (r *refusedFile) ends(size int64) (bool, error) {
	if size == 0 {
		return true, nil
	}
	var last [1]byte
	_, err := r.file.ReadAt(last[:], size-1)
	return last[0] == '\n', err
}

// setAside calls a function with each line of a file, if there is one, and moves those that
// can't be read to the file for these. So it does with a part of a line at the end: a process
// that was killed may have left it, whose event is still in the spool, or somebody's edit.
func (r *refusedFile) setAside(name string, each func(*refusedEvent, int64) error) error {
	path := filepath.Join(r.dir, name)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var readable, unreadable []byte
	err = eachLine(file, func(_ int, text []byte, line *refusedEvent, end int64, err error) error {
		if err != nil {
			r.unreadable++
			unreadable = append(unreadable, text...)
			return nil
		}
		return each(line, end)
	})
	if err != nil || unreadable == nil {
		return err
	}
	if err := appendTo(filepath.Join(r.dir, unreadableName), unreadable); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := eachLine(file, func(_ int, text []byte, _ *refusedEvent, _ int64, err error) error {
		if err == nil {
			readable = append(readable, text...)
		}
		return nil
	}); err != nil {
		return err
	}
	return replace(path, bytes.NewReader(readable))
}

// appendTo adds text to the end of a file, durably.
func appendTo(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// replace gives a file another content, durably: it has the one or the other.
func replace(path string, content io.Reader) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return syncDir(filepath.Dir(path))
}

// eachRefused calls a function with each line, and where it ends.
func eachRefused(file io.Reader, each func(line *refusedEvent, end int64) error) error {
	return eachLine(file, func(number int, _ []byte, line *refusedEvent, end int64, err error) error {
		if err == nil {
			err = each(line, end)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		return nil
	})
}

// eachLine calls a function with each line that is not empty, with its number, its text,
// what it says, where it ends, and why it can't be read. The last line need not end with a
// line feed, as some editors leave it: its text does.
func eachLine(file io.Reader, each func(number int, text []byte, line *refusedEvent, end int64, err error) error) error {
	reader := bufio.NewReaderSize(file, 64<<10)
	end := int64(0)
	for number := 1; ; number++ {
		text, err := reader.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		last := err == io.EOF
		end += int64(len(text))
		if len(bytes.TrimSpace(text)) > 0 {
			if last {
				text = append(text, '\n')
			}
			var one refusedEvent
			err := json.Unmarshal(text, &one)
			if err := each(number, text, &one, end, err); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

func syncDir(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = folder.Sync() // not all systems can
	return folder.Close()
}

// spoolPlace identifies an event in the spool.
func (e *event) spoolPlace() string { return e.record.id + "/" + strconv.Itoa(e.index) }

// has reports whether an event is in the file.
func (r *refusedFile) has(e *event) bool {
	if r.dir == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.known) > 0 && r.known[e.spoolPlace()]
}

// add adds events to the file, and returns once they are on the disk.
func (r *refusedFile) add(refusals []refusal) error {
	if r.dir == "" {
		return nil
	}
	var lines []byte
	for _, one := range refusals {
		line, err := json.Marshal(one.line())
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.mend(); err != nil {
		return err
	}
	whole, err := r.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if ended, err := r.ends(whole); err != nil {
		return err
	} else if !ended { // such as after an edit
		lines = append([]byte{'\n'}, lines...)
	}
	if _, err = r.file.Write(lines); err == nil {
		err = r.file.Sync()
	}
	if err != nil { // such as that the disk is full: they are written again later
		r.torn, r.whole = true, whole
		return errors.Join(err, r.mend())
	}
	return nil
}

// mend makes the file ready for more: what was not written completely is cut off.
func (r *refusedFile) mend() error {
	if err := r.reopen(); err != nil || !r.torn {
		return err
	}
	err := r.file.Truncate(r.whole)
	r.torn = err != nil
	return err
}

// line returns the line about a refusal.
func (r *refusal) line() *refusedEvent {
	e := r.event
	line := &refusedEvent{
		ID: e.id, Source: e.source, Type: e.kind, Subject: e.subject, Message: e.message, Outside: e.outside, Parent: e.parent,
		Code: r.why.Code().String(), Reason: r.why.Message(), Time: time.Now().UTC(),
		Data: e.data, Spool: e.spoolPlace(),
	}
	if e.route != nil {
		line.RPC = e.route.Name
	}
	if kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.message)); err == nil {
		message := kind.New().Interface()
		if proto.Unmarshal(e.data, message) == nil {
			if text, err := protojson.Marshal(message); err == nil {
				line.Event = text
			}
		}
	}
	return line
}

func (r *refusedFile) close() error {
	if r.dir == "" {
		return nil
	}
	return r.file.Close()
}

// refuseAgain is how long the file is left alone that could not be written, such as on a full
// disk: other events go on meanwhile.
const refuseAgain = time.Second

// refuseAll writes events to the file of those that are refused, and only then counts them
// as decided.
func (p *Publisher) refuseAll(now time.Time) {
	if len(p.refusing) == 0 || now.Before(p.refuseAfter) {
		return
	}
	if err := p.refused.add(p.refusing); err != nil {
		p.refuseAfter = now.Add(refuseAgain)
		p.report.failed("refused events can't be written to refused.ndjson; the publisher tries again", err)
		return
	}
	for i, one := range p.refusing {
		if e := one.event; e.split != nil {
			e.split.atFault = true
		}
		p.report.refused(now, p.refusing[i], p.refused.dir != "")
		p.decided = append(p.decided, one.event)
		if one.event.route != nil {
			p.follow(one.event)
		}
	}
	p.mu.Lock()
	p.stats.Refused += int64(len(p.refusing))
	p.mu.Unlock()
	clear(p.refusing)
	p.refusing = p.refusing[:0]
}

// Redrive publishes the events in the file refused.ndjson again, under their ids, and takes
// them out of it. It returns how many there were. What the service refuses again is in the
// file again. With an error, such as that ctx ended, the events that are not published yet
// are in the file refused.ndjson.again, and the next Redrive begins with them.
func (p *Publisher) Redrive(ctx context.Context) (count int, err error) {
	r := p.refused
	r.redriving.Lock()
	defer r.redriving.Unlock()
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return 0, ErrClosed
	case r.dir == "":
		return 0, nil
	}
	again := filepath.Join(r.dir, redrivingName)
	// One that was not completed comes first.
	count, err = p.publishAgain(ctx, again)
	if err != nil {
		return count, err
	}
	if err := r.moveTo(again); err != nil {
		return count, err
	}
	more, err := p.publishAgain(ctx, again)
	return count + more, err
}

// moveTo moves what the file has to another one, which there is not yet.
func (r *refusedFile) moveTo(again string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.mend(); err != nil {
		return err
	}
	path := filepath.Join(r.dir, refusedName)
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	// One after the other: the second would replace a file that the first did not move.
	if err = os.Rename(path, again); err == nil {
		if err = os.Rename(path+".new", path); err != nil {
			err = errors.Join(err, os.Rename(again, path))
		}
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	old := r.file
	r.file = file
	return errors.Join(syncDir(r.dir), old.Close())
}

// maxAgain is how many events are published again in one commit.
const maxAgain = 256

// publishAgain publishes the events of a file, and removes it. With an error it leaves what
// is not published.
func (p *Publisher) publishAgain(ctx context.Context, path string) (count int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	var events []*event
	size, read, done := int64(0), int64(0), int64(0) // of these events; bytes of the file
	publish := func() error {
		if len(events) == 0 {
			return nil
		}
		err := p.enqueue(ctx, events...)
		if err == nil {
			count += len(events)
			events, size, done = nil, 0, read
		}
		return err
	}
	most := min(maxTogether, p.settings.maxBytes) / 4
	err = eachRefused(file, func(line *refusedEvent, end int64) error {
		e, err := p.again(line)
		if err != nil {
			return err
		}
		if len(events) == maxAgain || size+e.size() > most {
			if err := publish(); err != nil {
				return err
			}
		}
		events, size, read = append(events, e), size+e.size(), end
		return nil
	})
	if err == nil {
		err = publish()
	}
	if err == nil {
		return count, os.Remove(path)
	}
	if done > 0 {
		if _, failed := file.Seek(done, io.SeekStart); failed != nil {
			return count, errors.Join(err, failed)
		}
		err = errors.Join(err, replace(path, file))
	}
	return count, err
}

// again returns the event of a line.
func (p *Publisher) again(line *refusedEvent) (*event, error) {
	e := &event{id: line.ID, source: line.Source, kind: line.Type, subject: line.Subject, message: line.Message, data: line.Data, outside: line.Outside}
	if e.outside {
		if err := eventid.Check(e.id); err != nil {
			return nil, err
		}
	}
	if isTraceParent(line.Parent) {
		e.parent = line.Parent
	}
	e.route = p.senderOf(e.message, line.RPC, e.outside)
	return e, nil
}
