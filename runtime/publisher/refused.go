package publisher

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
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
)

// refusedName is the name of the file in the folder of a spool that has the events which
// the service refused for good, one on each line.
const refusedName = "refused.ndjson"

// redrivingName is that of what is just published again.
const redrivingName = "refused.ndjson.again"

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
	Data    string          `json:"data"`            // as protobuf, in base64
	Outside bool            `json:"id_with_call,omitempty"`
	Parent  string          `json:"traceparent,omitempty"`
	Spool   string          `json:"spool,omitempty"` // where it was in the spool
}

// refusedFile is the file. Its zero value is that of a publisher in memory.
type refusedFile struct {
	dir string

	mu    sync.Mutex
	file  *os.File
	known map[string]bool // places in the spool of events that are refused, and are still there
}

// openRefused opens the file in a folder, for a spool whose first record has an id.
func openRefused(dir, first string) (*refusedFile, error) {
	r := &refusedFile{dir: dir, known: map[string]bool{}}
	path := filepath.Join(dir, refusedName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	r.file = file
	whole, err := eachRefused(file, func(line *refusedEvent) error {
		if first != "" && line.Spool >= first { // ids of records grow
			r.known[line.Spool] = true
		}
		return nil
	})
	// A process that was killed may have left a part of a line. Its event is still in the spool.
	if err == nil {
		err = file.Truncate(whole)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return r, nil
}

// eachRefused calls a function with each line, and returns the bytes of whole lines.
func eachRefused(file io.Reader, each func(*refusedEvent) error) (whole int64, err error) {
	reader := bufio.NewReaderSize(file, 64<<10)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var one refusedEvent
			if err := json.Unmarshal(line, &one); err != nil {
				return whole, fmt.Errorf("line %d: %w", number, err)
			}
			if err := each(&one); err != nil {
				return whole, err
			}
		}
		whole += int64(len(line))
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
	before, err := r.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(lines); err != nil {
		return errors.Join(err, r.file.Truncate(before)) // the disk is full
	}
	return r.file.Sync()
}

// line returns the line about a refusal.
func (r *refusal) line() *refusedEvent {
	e := r.event
	line := &refusedEvent{
		ID: e.id, Source: e.source, Type: e.kind, Subject: e.subject, Message: e.message, Outside: e.outside, Parent: e.parent,
		Code: r.why.Code().String(), Reason: r.why.Message(), Time: time.Now().UTC(),
		Data: base64.StdEncoding.EncodeToString(e.data), Spool: e.spoolPlace(),
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

// refuseAll writes events to the file of those that are refused, and only then counts them
// as decided.
func (p *Publisher) refuseAll(now time.Time) {
	if len(p.refusing) == 0 {
		return
	}
	if err := p.refused.add(p.refusing); err != nil {
		p.report.failed("events that the service refuses can't be written to the file of those; it is tried again", err)
		return
	}
	for i, one := range p.refusing {
		if e := one.event; e.split != nil {
			e.split.guilty = true
		}
		p.report.refused(now, p.refusing[i])
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
// file again.
func (p *Publisher) Redrive(ctx context.Context) (count int, err error) {
	r := p.refused
	if r.dir == "" {
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
	path := filepath.Join(r.dir, refusedName)
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Rename(path, again), os.Rename(path+".new", path), syncDir(r.dir)); err != nil {
		return errors.Join(err, file.Close())
	}
	err = r.file.Close()
	r.file = file
	return err
}

// maxAgain is how many events are published again in one commit.
const maxAgain = 256

// publishAgain publishes the events of a file, and removes it.
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
	publish := func() error {
		if len(events) == 0 {
			return nil
		}
		err := p.enqueue(ctx, events...)
		if err == nil {
			count += len(events)
			events = nil
		}
		return err
	}
	_, err = eachRefused(file, func(line *refusedEvent) error {
		data, err := base64.StdEncoding.DecodeString(line.Data)
		if err != nil {
			return err
		}
		e := &event{id: line.ID, source: line.Source, kind: line.Type, subject: line.Subject, message: line.Message, data: data, outside: line.Outside, parent: line.Parent}
		if route := p.routes[e.message]; route != nil {
			e.route = p.senders[route.Name]
		}
		if events = append(events, e); len(events) < maxAgain {
			return nil
		}
		return publish()
	})
	if err == nil {
		err = publish()
	}
	if err != nil {
		return count, err
	}
	return count, os.Remove(path)
}
