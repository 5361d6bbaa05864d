// Package rejected keeps the requests that a server refused as invalid, in an event log of
// their own, so that somebody can look at them, and send them again once what was wrong
// is mended: a rule, or code.
package rejected

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

const (
	// Consumer is the name of the consumer whose dead letters the requests are.
	Consumer = "rejected"
	// What waits to be written is bounded, so that callers who send only what is refused
	// cost no memory.
	mostWaiting      = 1024
	mostBytesWaiting = 16 << 20
	// A request is also shown as JSON up to this length.
	mostBytesAsJSON = 64 << 10
	// While there is no room, requests are counted again this often.
	countEvery = time.Minute
	// That some were not kept is logged this often at most: callers decide how many they are.
	reportEvery = 10 * time.Second
	// The type of the events in the log.
	eventType = "rejected"
)

// Config says where refused requests are kept. The zero value keeps none.
type Config struct {
	// URL is that of an event log with nothing else in it.
	URL string
	// Bytes is how much of requests is kept. While there is that much, further ones are
	// not kept. 0 means 100 MB.
	Bytes int64
	// Caller returns the name of whoever makes a call; nil for no names.
	Caller func(context.Context) string

	flags *flag.FlagSet // of the server; nil if Flags was not called
	log   eventlog.Log
}

// Log returns the log that Option has opened, nil if there is none. Its dead letters are the
// requests.
func (c *Config) Log() eventlog.Log { return c.log }

// Flags defines the flags --keep-rejected and --keep-rejected-bytes, for [server.Parse].
func (c *Config) Flags(flags *flag.FlagSet) {
	c.flags = flags
	flags.StringVar(&c.URL, "keep-rejected", c.URL, "`URL` of an event log for requests that are refused as invalid; none are kept without")
	flags.Int64Var(&c.Bytes, "keep-rejected-bytes", 100_000_000, "most `bytes` of refused requests that are kept")
}

// Option makes a server keep what it refuses. The log is opened when Option is called,
// and closed when the server ends.
//
// A request is written after it was answered: one that is refused just before the process
// ends may be lost, and so are those that come faster than they are written. The
// server logs how many were.
func (c *Config) Option(ctx context.Context) server.Option {
	if c.URL == "" {
		return server.Options()
	}
	if c.isEvents() {
		return server.Invalid(errors.New("--keep-rejected and --events are the same log: name one that has only refused requests, or does not exist yet"))
	}
	url := c.URL
	if strings.HasPrefix(url, "sqlite:") && !strings.Contains(url, "max-bytes=") {
		// Besides the dead letters, which stay, the log keeps what it has space for.
		separator := "?"
		if strings.Contains(url, "?") {
			separator = "&"
		}
		url += separator + "max-bytes=100MB"
	}
	log, err := eventlog.Open(ctx, url)
	if err != nil {
		return server.Invalid(fmt.Errorf("--keep-rejected: %w", err))
	}
	for first, err := range log.Read(ctx, eventlog.From{}) {
		if err == nil && first.Type != eventType {
			err = errors.New("there are other events in this log: name one that has only refused requests, or does not exist yet")
		}
		if err != nil {
			return server.Invalid(errors.Join(fmt.Errorf("--keep-rejected: %w", err), log.Close()))
		}
		break
	}
	c.log = log
	k := &keeper{log: log, caller: c.Caller, most: c.Bytes, waiting: make(chan eventlog.Event, mostWaiting)}
	if k.most == 0 {
		k.most = 100_000_000
	}
	return server.KeepRefused(k)
}

// isEvents reports whether the log is that of the server's events. As long as that is
// empty, nothing in it says so.
func (c *Config) isEvents() bool {
	if c.flags == nil {
		return false
	}
	events := c.flags.Lookup("events")
	return events != nil && c.URL != "memory:" && place(c.URL) == place(events.Value.String())
}

// place returns a URL without its parameters, and with the path of a file in one form.
func place(url string) string {
	url, _, _ = strings.Cut(url, "?")
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return "sqlite:" + filepath.Clean(path)
	}
	return url
}

type keeper struct {
	log     eventlog.Log
	caller  func(context.Context) string
	most    int64 // bytes
	waiting chan eventlog.Event

	mu           sync.Mutex
	bytesWaiting int
	lost         int // since it was last logged

	// Only the writer uses these.
	kept     int64 // bytes, at most
	counted  time.Time
	reported time.Time // when it was last logged that some were lost
	lastErr  error     // why the last of them were
}

// Keep implements [server.Keeper]. It does not wait for the log.
func (k *keeper) Keep(ctx context.Context, refused server.Refused) {
	event, err := k.describe(ctx, refused)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil || k.bytesWaiting+len(event.Data) > mostBytesWaiting {
		k.lost++
		return
	}
	select {
	case k.waiting <- event:
		k.bytesWaiting += len(event.Data)
	default:
		k.lost++
	}
}

// describe returns what is stored of a request: a Struct, which every program can read.
func (k *keeper) describe(ctx context.Context, refused server.Refused) (eventlog.Event, error) {
	fields := map[string]any{
		"rpc":     strings.TrimPrefix(refused.Method, "/"),
		"code":    status.Code(refused.Err).String(),
		"reason":  strings.ToValidUTF8(status.Convert(refused.Err).Message(), "\uFFFD"),
		"request": base64.StdEncoding.EncodeToString(refused.Request),
	}
	if rpc := described(refused.Method); rpc != nil {
		fields["type"] = string(rpc.Input().FullName())
		if decoded, ok := asJSON(rpc.Input(), refused.Request); ok {
			fields["decoded"] = decoded
		}
	}
	if ids := metadata.ValueFromIncomingContext(ctx, eventid.Key); len(ids) > 0 {
		fields["event_id"] = strings.ToValidUTF8(ids[0], "\uFFFD")
	}
	if from, ok := peer.FromContext(ctx); ok {
		fields["address"] = from.Addr.String()
	}
	if refused.HasOnlySource {
		fields["only_source"] = strings.ToValidUTF8(refused.OnlySource, "\uFFFD")
	}
	if k.caller != nil {
		if name := k.caller(ctx); name != "" {
			fields["key"] = strings.ToValidUTF8(name, "\uFFFD")
		}
	}
	stored, err := structpb.NewStruct(fields)
	if err != nil {
		return eventlog.Event{}, err
	}
	data, err := proto.Marshal(stored)
	return eventlog.Event{
		ID: eventid.New(), Source: fields["rpc"].(string), Type: eventType,
		Schema: string(stored.ProtoReflect().Descriptor().FullName()), Data: data,
	}, err
}

// described returns what the proto says of a method, nil if that is unknown here.
func described(method string) protoreflect.MethodDescriptor {
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if rpc, ok := found.(protoreflect.MethodDescriptor); ok && err == nil {
		return rpc
	}
	return nil
}

// asJSON returns a request as text of JSON, if it can be decoded and is short.
func asJSON(input protoreflect.MessageDescriptor, request []byte) (string, bool) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(input.FullName())
	if err != nil || len(request) > mostBytesAsJSON {
		return "", false
	}
	message := kind.New().Interface()
	if proto.Unmarshal(request, message) != nil {
		return "", false
	}
	text, err := protojson.Marshal(message)
	return string(text), err == nil
}

// Run implements [server.Keeper].
func (k *keeper) Run(ctx context.Context, again func(context.Context, string, []byte) error) error {
	// The consumer would log each request as an error.
	consuming, stop := context.WithCancel(context.WithoutCancel(ctx))
	consumed := make(chan error, 1)
	go func() {
		consumed <- eventlog.Consume(consuming, k.log, Consumer, func(ctx context.Context, record eventlog.Record) error {
			return k.handle(ctx, record, again)
		}, eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	for {
		select {
		case event := <-k.waiting:
			k.write(context.WithoutCancel(ctx), event)
			continue
		case <-ctx.Done():
		}
		break
	}
	for len(k.waiting) > 0 { // what was refused before the server stopped
		k.write(context.WithoutCancel(ctx), <-k.waiting)
	}
	k.report(ctx)
	stop()
	return errors.Join(<-consumed, k.log.Close())
}

// write stores an event, together with those that wait after it.
func (k *keeper) write(ctx context.Context, event eventlog.Event) {
	events, bytes := []eventlog.Event{event}, len(event.Data)
	for len(events) < 256 && len(k.waiting) > 0 {
		event = <-k.waiting
		events, bytes = append(events, event), bytes+len(event.Data)
	}
	var err error
	if k.kept+int64(bytes) > k.most || k.counted.IsZero() {
		err = k.count(ctx)
	}
	switch {
	case err != nil:
	case k.kept+int64(bytes) > k.most:
		err = fmt.Errorf("%d bytes of them are kept (--keep-rejected-bytes): retry or discard some", k.kept)
	default:
		_, err = k.log.Append(ctx, events...)
	}
	k.mu.Lock()
	k.bytesWaiting -= bytes
	if err != nil {
		k.lost += len(events)
	} else {
		k.kept += int64(bytes)
	}
	k.mu.Unlock()
	if err != nil {
		k.lastErr = err
	}
	if time.Since(k.reported) >= reportEvery {
		k.report(ctx)
	}
}

// report logs how many requests were lost since it was last logged.
func (k *keeper) report(ctx context.Context) {
	k.mu.Lock()
	lost := k.lost
	k.lost = 0
	k.mu.Unlock()
	if lost == 0 {
		return
	}
	attrs := []any{"requests", lost}
	if k.lastErr != nil {
		attrs = append(attrs, "error", k.lastErr)
	}
	k.reported, k.lastErr = time.Now(), nil
	slog.WarnContext(ctx, "refused requests were not kept", attrs...)
}

// count finds out how much is kept: others retry and discard.
func (k *keeper) count(ctx context.Context) error {
	if !k.counted.IsZero() && time.Since(k.counted) < countEvery {
		return nil
	}
	kept := int64(0)
	for letter, err := range k.log.Dead(ctx, Consumer) {
		if err != nil {
			return err
		}
		kept += int64(len(letter.Data))
	}
	k.kept, k.counted = kept, time.Now()
	return nil
}

// handle gives up on a request at once, with the reason for which it was refused: so it
// becomes a dead letter. When that is retried, handle calls its method again.
func (k *keeper) handle(ctx context.Context, record eventlog.Record, again func(context.Context, string, []byte) error) error {
	if record.Type != eventType {
		return nil // somebody else's
	}
	stored := new(structpb.Struct)
	if err := proto.Unmarshal(record.Data, stored); err != nil {
		return eventlog.GiveUp(err)
	}
	fields := stored.GetFields()
	if !eventlog.IsRetry(ctx) {
		return eventlog.GiveUp(fmt.Errorf("%s: %s", fields["code"].GetStringValue(), fields["reason"].GetStringValue()))
	}
	request, err := base64.StdEncoding.DecodeString(fields["request"].GetStringValue())
	if err != nil {
		return eventlog.GiveUp(err)
	}
	method := "/" + fields["rpc"].GetStringValue()
	id := fields["event_id"].GetStringValue()
	if rpc := described(method); id == "" || rpc != nil && rpc.IsStreamingClient() {
		// The same for each retry. In a stream, the id of the call is that of its other
		// events, too.
		id = record.ID
	}
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(eventid.Key, id))
	if source, ok := fields["only_source"]; ok {
		ctx = server.OnlySource(ctx, source.GetStringValue())
	}
	err = again(ctx, method, request)
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Aborted:
		return err
	}
	if err != nil {
		return eventlog.GiveUp(fmt.Errorf("%s: %s", status.Code(err), status.Convert(err).Message()))
	}
	return nil
}
