package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

const (
	// What is shown of a message.
	mostData = 256 << 10
	// How many consumers a page has.
	mostConsumers = 200
	// How many dead letters a page has, and of their messages together about so much.
	mostLetters     = 50
	mostLettersData = 1 << 20
	// How long schemas are counted at once, and how long after that no browser makes the
	// console go on: it takes a fifth of a core, which others would miss if it were more.
	countFor   = 100 * time.Millisecond
	countAgain = 400 * time.Millisecond
	// For how long figures of the log are taken for current.
	figuresFor = time.Second
)

// from returns where to read what comes after a position. What was deleted before is nothing
// that the server's log should warn of: somebody only looks.
func from(after eventlog.Position) eventlog.From {
	return eventlog.From{After: after, Logger: slog.New(slog.DiscardHandler)}
}

// figures are those of the log, which are costly to find out.
type figures struct {
	log eventlog.Log

	mu    sync.Mutex
	asked time.Time
	stats eventlog.Stats
	err   error
}

func (f *figures) get(ctx context.Context) (eventlog.Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return eventlog.Stats{}, err // it has waited for others
	}
	if time.Since(f.asked) < figuresFor {
		return f.stats, f.err
	}
	stats, err := f.log.Stats(ctx)
	if ctx.Err() == nil { // else it is the error of a browser that has left, not of others
		f.stats, f.err, f.asked = stats, err, time.Now()
	}
	return stats, err
}

// state is what the page shows of the server and the log.
type state struct {
	Server   int64      `json:"server"` // which process this is
	Program  string     `json:"program"`
	Mode     string     `json:"mode"`
	Writes   bool       `json:"writes"`   // whether the page may change anything
	Rejected bool       `json:"rejected"` // whether refused requests are kept
	Needs    []need     `json:"needs"`
	Leaving  bool       `json:"leaving"`
	Log      logFigures `json:"log"`
}

type need struct {
	Name string `json:"name"`
	Met  bool   `json:"met"`
	Why  string `json:"why,omitempty"`
}

type logFigures struct {
	Why        string            `json:"why,omitempty"` // they are not known
	Events     int64             `json:"events"`
	Bytes      int64             `json:"bytes"`
	Free       *int64            `json:"free,omitempty"`
	First      eventlog.Position `json:"first"`
	Last       eventlog.Position `json:"last"`
	Oldest     *time.Time        `json:"oldest,omitempty"`
	Durability string            `json:"durability"`
	Consumers  []consumer        `json:"consumers"`
	Others     int               `json:"others"` // consumers that are left out
}

type consumer struct {
	Name     string            `json:"name"`
	Position eventlog.Position `json:"position"`
	Lag      int64             `json:"lag"`
	Late     *int64            `json:"late,omitempty"` // milliseconds since the oldest was stored that it has not handled
	Holder   string            `json:"holder"`
	Keeper   string            `json:"keeper,omitempty"`
	Dead     int64             `json:"dead"`
	Failing  *failing          `json:"failing,omitempty"`
}

type failing struct {
	Position eventlog.Position `json:"position"`
	Tries    int               `json:"tries"`
	Reason   string            `json:"reason"`
	Since    time.Time         `json:"since"`
}

func (p *page) state(r *http.Request) (any, error) {
	needs, leaving := p.server.Load().Readiness()
	s := state{
		Server: p.started, Program: filepath.Base(os.Args[0]), Mode: p.mode, Writes: p.writes(), Rejected: p.rejected() != nil,
		Needs: []need{}, Leaving: leaving, Log: logFigures{Consumers: []consumer{}},
	}
	for _, one := range needs {
		shown := need{Name: one.Name, Met: one.Err == nil}
		if one.Err != nil {
			shown.Why = one.Err.Error()
		}
		s.Needs = append(s.Needs, shown)
	}
	stats, err := p.figures.get(r.Context())
	if err != nil {
		s.Log.Why = err.Error()
		return s, nil
	}
	s.Log = logFigures{
		Events: stats.Events, Bytes: stats.Bytes, Free: stats.Free, First: stats.First, Last: stats.Last,
		Oldest: known(stats.Oldest), Durability: string(stats.Durability), Consumers: []consumer{},
	}
	consumers := mostUrgent(stats.Consumers)
	s.Log.Others = len(stats.Consumers) - len(consumers)
	for _, one := range consumers {
		shown := consumer{one.Name, one.Position, one.Lag, lateBy(one.Oldest), one.Holder, one.Keeper, one.Dead, nil}
		if f := one.Failure; f != (eventlog.Failure{}) {
			shown.Failing = &failing{f.Position, f.Tries, f.Reason, f.Since}
		}
		s.Log.Consumers = append(s.Log.Consumers, shown)
	}
	return s, nil
}

// mostUrgent returns as many consumers as a page shows: those with failures and dead letters
// before others, and those with most events to handle.
func mostUrgent(all []eventlog.ConsumerStats) []eventlog.ConsumerStats {
	if len(all) <= mostConsumers {
		return all
	}
	trouble := func(c eventlog.ConsumerStats) int { return -int(min(c.Dead+int64(c.Failure.Tries), 1)) }
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b eventlog.ConsumerStats) int {
		return cmp.Or(cmp.Compare(trouble(a), trouble(b)), cmp.Compare(b.Lag, a.Lag), cmp.Compare(a.Name, b.Name))
	})
	return all[:mostConsumers]
}

// known returns a time, or nil for none.
func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// lateBy returns the milliseconds since a time by the clock of the server, which need not
// be that of a browser; nil for no time.
func lateBy(oldest time.Time) *int64 {
	if oldest.IsZero() {
		return nil
	}
	late := max(time.Since(oldest).Milliseconds(), 0)
	return &late
}

// shown is an event with all that is stored of it.
type shown struct {
	Position    eventlog.Position `json:"position"`
	Recorded    time.Time         `json:"recorded"`
	ID          string            `json:"id"`
	Source      string            `json:"source"`
	Type        string            `json:"type"`
	Subject     string            `json:"subject"`
	Time        time.Time         `json:"time"`
	Schema      string            `json:"schema"`
	Version     string            `json:"version"`
	Traceparent string            `json:"traceparent"`
	Erased      bool              `json:"erased"`
	Bytes       int               `json:"bytes"`
	Data        string            `json:"data"`          // JSON, or base64 if there is a problem
	Problem     string            `json:"problem"`       // why it is not JSON
	Cut         bool              `json:"cut,omitempty"` // whether Data is its beginning only
}

// show returns an event as it was when it was stored: by the version of its schema then.
func show(record *eventlog.Record) shown {
	s := shown{
		Position: record.Position, Recorded: record.Recorded, ID: record.ID, Source: record.Source, Type: record.Type, Subject: record.Subject,
		Time: record.Time.UTC(), Schema: record.Schema, Version: record.Version, Traceparent: record.Traceparent, Erased: record.Erased, Bytes: len(record.Data),
	}
	if record.Erased {
		return s
	}
	text, err := asJSON(record)
	if err != nil {
		s.Problem = strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
		text = base64.StdEncoding.EncodeToString(record.Data)
	}
	s.Data, s.Cut = cut(text)
	return s
}

// asJSON returns the message of an event, with all its fields.
func asJSON(record *eventlog.Record) (string, error) {
	message, err := eventlog.Decode(record.Event)
	if err != nil {
		return "", err
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(message)
	if err != nil {
		return "", err
	}
	var laidOut bytes.Buffer // protojson varies its white space
	if err := json.Indent(&laidOut, text, "", "  "); err != nil {
		return "", err
	}
	return laidOut.String(), nil
}

// event answers with the event at a position.
func (p *page) event(r *http.Request) (any, error) {
	at, err := strconv.ParseInt(r.FormValue("position"), 10, 64)
	if err != nil || at < 1 {
		return nil, invalid("position %q is not one", r.FormValue("position"))
	}
	for record, err := range p.figures.log.Read(r.Context(), from(eventlog.Position(at-1))) {
		if err != nil {
			return nil, err
		}
		if record.Position == eventlog.Position(at) {
			return show(&record), nil
		}
		break
	}
	return nil, status.Errorf(codes.NotFound, "the log has no event at position %d any longer", at)
}

// letter is a dead letter.
type letter struct {
	shown
	Refused  *refused  `json:"refused,omitempty"` // if it is a request that the server refused
	Consumer string    `json:"consumer"`
	Tries    int       `json:"tries"`
	Reason   string    `json:"reason"`
	GaveUp   time.Time `json:"gave_up"`
	Retrying bool      `json:"retrying"`
}

// refused is a request that the server refused, as package rejected keeps it.
type refused struct {
	RPC     string `json:"rpc"`
	Code    string `json:"code"`
	Type    string `json:"type"`
	EventID string `json:"event_id"`
	Key     string `json:"key"` // the name of an API key
	Address string `json:"address"`
	Request string `json:"request"` // JSON, or base64 if that is not kept
	Base64  bool   `json:"base64"`
	Cut     bool   `json:"cut,omitempty"` // whether Request is its beginning only
}

// refusedOf returns the refused request that a record is, nil if it is something else.
func refusedOf(record *eventlog.Record) *refused {
	kept := new(structpb.Struct)
	if record.Schema != string(kept.ProtoReflect().Descriptor().FullName()) || proto.Unmarshal(record.Data, kept) != nil || kept.Fields["rpc"].GetStringValue() == "" {
		return nil
	}
	get := func(name string) string { return kept.Fields[name].GetStringValue() }
	r := &refused{RPC: get("rpc"), Code: get("code"), Type: get("type"), EventID: get("event_id"), Key: get("key"), Address: get("address")}
	var laidOut bytes.Buffer
	if err := json.Indent(&laidOut, []byte(get("decoded")), "", "  "); err == nil {
		r.Request = laidOut.String()
	} else {
		r.Request, r.Base64 = get("request"), true
	}
	r.Request, r.Cut = cut(r.Request)
	return r
}

// cut returns the beginning of a text that is shown, and whether there is more.
func cut(text string) (string, bool) {
	if len(text) <= mostData {
		return text, false
	}
	return strings.ToValidUTF8(text[:mostData], ""), true
}

// logOf returns the log that a request names: that of events, or that of refused requests.
func (p *page) logOf(name string) (eventlog.Log, error) {
	switch log := p.rejected(); {
	case name == "events":
		return p.figures.log, nil
	case name != "rejected":
		return nil, invalid("there is no log %q", name)
	case log == nil:
		return nil, status.Error(codes.NotFound, "this server keeps no refused requests: --keep-rejected makes it do so")
	default:
		return log, nil
	}
}

// dead answers with dead letters: those of a consumer, or of all by their names. They come
// after the last one of the page before: at a position, of the consumer that is from.
func (p *page) dead(r *http.Request) (any, error) {
	log, err := p.logOf(r.FormValue("log"))
	if err != nil {
		return nil, err
	}
	names := []string{r.FormValue("consumer")}
	if names[0] == "" {
		// An engine promises an order of those of one consumer only.
		if names, err = withDead(r.Context(), log); err != nil {
			return nil, err
		}
	}
	after, _ := strconv.ParseInt(r.FormValue("after"), 10, 64)
	answer := letters{Letters: []letter{}}
	for _, name := range names {
		switch from := r.FormValue("from"); {
		case name < from:
			continue
		case name > from:
			after = 0
		}
		if err := answer.add(r.Context(), log, name, eventlog.Position(after)); err != nil || answer.More {
			return answer, err
		}
	}
	return answer, nil
}

// withDead returns the names of the consumers that have dead letters, in their order.
func withDead(ctx context.Context, log eventlog.Log) (names []string, err error) {
	stats, err := log.Stats(ctx)
	for _, one := range stats.Consumers {
		if one.Dead > 0 {
			names = append(names, one.Name)
		}
	}
	slices.Sort(names)
	return names, err
}

// letters are a page of dead letters.
type letters struct {
	Letters []letter `json:"letters"`
	More    bool     `json:"more"`
	bytes   int      // of their messages
}

// add adds the dead letters of a consumer after a position, as far as the page has room.
func (l *letters) add(ctx context.Context, log eventlog.Log, consumer string, after eventlog.Position) error {
	for one, err := range log.Dead(ctx, consumer) {
		if err != nil {
			return err
		}
		if one.Position <= after {
			continue
		}
		if n := len(l.Letters); n >= mostLetters || l.bytes > mostLettersData {
			// Those that a consumer has of one position are on one page.
			if last := l.Letters[n-1]; last.Consumer != consumer || last.Position != one.Position {
				l.More = true
				return nil
			}
		}
		next := letter{Consumer: one.Consumer, Tries: one.Tries, Reason: one.Reason, GaveUp: one.GaveUp, Retrying: one.Retrying}
		if next.Refused = refusedOf(&one.Record); next.Refused != nil {
			l.bytes += len(next.Refused.Request)
			one.Data = nil // it is in the request
		}
		next.shown = show(&one.Record)
		l.bytes += len(next.Data)
		l.Letters = append(l.Letters, next)
	}
	return nil
}

// retry has dead letters tried again.
func (p *page) retry(r *http.Request, body []byte) (any, error) {
	var wanted struct {
		Log       string              `json:"log"`
		Consumer  string              `json:"consumer"`
		Positions []eventlog.Position `json:"positions"`
		All       bool                `json:"all"`
	}
	if err := json.Unmarshal(body, &wanted); err != nil {
		return nil, invalid("the request can't be read: %v", err)
	}
	if wanted.All == (len(wanted.Positions) > 0) {
		return nil, invalid("name positions, or all of them")
	}
	everything, who, err := p.identify(r)
	if err != nil || !everything {
		return nil, cmp.Or(err, status.Error(codes.PermissionDenied, "dead letters are of all sources: this needs a key for all of them"))
	}
	log, err := p.logOf(wanted.Log)
	if err != nil {
		return nil, err
	}
	n, err := log.Retry(r.Context(), wanted.Consumer, wanted.Positions...)
	if err != nil {
		return nil, err
	}
	p.server.Load().Log().Info("dead letters are tried again, as the console was asked to", "log", wanted.Log, "consumer", wanted.Consumer, "letters", n, who)
	return struct {
		Retried int `json:"retried"`
	}{n}, nil
}

// schemaUses finds out which events have which version of a schema. All that a log keeps of
// that is with its events, so it reads them, in parts, and remembers what it found.
type schemaUses struct {
	log eventlog.Log

	mu    sync.Mutex
	uses  map[[2]string]*schemaUse
	after eventlog.Position
	done  bool // all was counted
	until time.Time
}

type schemaUse struct {
	Schema  string            `json:"schema"`
	Version string            `json:"version"`
	Events  int64             `json:"events"`
	First   eventlog.Position `json:"first"`
	Last    eventlog.Position `json:"last"`
	Deleted bool              `json:"deleted"` // some that were counted no longer exist
	Assumed bool              `json:"assumed"` // some were stored before the log kept versions
	Current bool              `json:"current"` // this program writes it
	Fields  []string          `json:"fields"`
}

// count counts on for a moment, unless it has just done so.
func (u *schemaUses) count(ctx context.Context) error {
	if time.Since(u.until) < countAgain {
		return nil
	}
	defer func() { u.until = time.Now() }()
	if u.uses == nil {
		u.uses = map[[2]string]*schemaUse{}
	}
	begin := time.Now()
	for record, err := range u.log.Read(ctx, from(u.after)) {
		if err != nil {
			return err
		}
		key := [2]string{record.Schema, record.Version}
		use := u.uses[key]
		if use == nil {
			use = &schemaUse{Schema: record.Schema, Version: record.Version, First: record.Position, Fields: []string{}}
			u.uses[key] = use
		}
		use.Events++
		use.Last, u.after = record.Position, record.Position
		if time.Since(begin) > countFor {
			u.done = false
			return nil
		}
	}
	u.done = true
	return nil
}

// listSchemas answers with the versions, and up to where it has counted.
func (p *page) listSchemas(r *http.Request) (any, error) {
	u := &p.schemas
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.count(r.Context()); err != nil {
		return nil, err
	}
	kept, err := eventlog.Schemas(r.Context(), u.log)
	if err != nil {
		return nil, err
	}
	stats, err := p.figures.get(r.Context())
	if err != nil {
		return nil, err
	}
	answer := struct {
		Schemas []schemaUse       `json:"schemas"`
		Counted eventlog.Position `json:"counted"`
		Done    bool              `json:"done"`
	}{[]schemaUse{}, u.after, u.done}
	for _, use := range u.uses {
		one := *use
		if stats.Events == 0 || one.Last < stats.First {
			continue
		}
		if one.First < stats.First { // how many are left of those is not known
			one.First, one.Deleted = stats.First, true
		}
		if at := slices.IndexFunc(kept, func(s eventlog.Schema) bool { return s.Version == use.Version && s.Name == use.Schema }); at >= 0 {
			one.Assumed = kept[at].Assumed
		}
		one.describe()
		answer.Schemas = append(answer.Schemas, one)
	}
	slices.SortFunc(answer.Schemas, func(a, b schemaUse) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.First, b.First))
	})
	return answer, nil
}

// describe adds the fields of the message, as the version has them.
func (s *schemaUse) describe() {
	kind, err := eventlog.TypeOf(eventlog.Event{Schema: s.Schema, Version: s.Version})
	if err != nil {
		return
	}
	if own, found := eventlog.FindMessage(s.Schema); found {
		s.Current = eventlog.SchemaOf(own.Descriptor()).Version == s.Version
	}
	fields := kind.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		s.Fields = append(s.Fields, strconv.Itoa(int(field.Number()))+" "+string(field.Name())+": "+kindOf(field))
	}
}
