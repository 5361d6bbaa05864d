package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const service = "/observe.v1.ObserveService/"

// caller calls a server, by gRPC and by HTTP.
type caller struct {
	conn *grpc.ClientConn
	// grpc and web are the addresses of the server as URLs.
	grpc, web string
	http      http.Client
}

// newCaller connects to a server, in plaintext without a configuration of TLS.
func newCaller(to *server, secure *tls.Config) (*caller, error) {
	security := insecure.NewCredentials()
	if secure != nil {
		security = credentials.NewTLS(secure)
	}
	conn, err := grpc.NewClient(to.addr, grpc.WithTransportCredentials(security),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallSendMsgSize(64<<20)), grpc.WithDisableRetry())
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	c := &caller{conn: conn, grpc: "http://" + to.addr, web: "http://" + to.http, http: http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: secure, Protocols: protocols},
	}}
	if secure != nil {
		c.grpc, c.web = "https://"+to.addr, "https://"+to.http
	}
	return c, nil
}

func (c *caller) close() error {
	c.http.CloseIdleConnections()
	return c.conn.Close()
}

// plain sends a request to the port of gRPC without a client of gRPC, and returns the
// status of the answer.
func (c *caller) plain(ctx context.Context, method, contentType string, headers ...string) (int, error) {
	return c.do(ctx, c.grpc+service+method, contentType, "", headers...)
}

// call calls a unary RPC of the service.
func (c *caller) call(ctx context.Context, method string, request []byte, options ...grpc.CallOption) error {
	return c.conn.Invoke(ctx, service+method, &request, new([]byte), options...)
}

// send sends requests by an RPC to which a stream is sent, and reads all replies.
func (c *caller) send(ctx context.Context, method string, requests [][]byte) error {
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, service+method)
	if err != nil {
		return err
	}
	for i := range requests {
		if err := stream.SendMsg(&requests[i]); err != nil {
			break // the reason comes with the replies
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if err := stream.RecvMsg(new([]byte)); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// follow follows the log by Tail until the context ends.
func (c *caller) follow(ctx context.Context) error {
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, service+"Tail")
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(new([]byte)), stream.CloseSend()); err != nil {
		return err
	}
	for {
		if err := stream.RecvMsg(new([]byte)); err != nil {
			return err
		}
	}
}

// post sends a request by HTTP, and returns the status of the answer.
func (c *caller) post(ctx context.Context, path, contentType, body string, headers ...string) (int, error) {
	return c.do(ctx, c.web+path, contentType, body, headers...)
}

func (c *caller) do(ctx context.Context, url, contentType, body string, headers ...string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// json calls an RPC by HTTP with a request in JSON, which must work.
func (c *caller) json(ctx context.Context, method, request string) error {
	got, err := c.post(ctx, service+method, "application/json", request)
	if err == nil && got != http.StatusOK {
		err = fmt.Errorf("%s by HTTP: status %d", method, got)
	}
	return err
}

// want returns an error unless a call ended with one of some codes.
func want(what string, err error, allowed ...codes.Code) error {
	got := status.Code(err)
	for _, code := range allowed {
		if got == code {
			return nil
		}
	}
	if err == nil {
		return fmt.Errorf("%s is answered, instead of %v", what, allowed)
	}
	return fmt.Errorf("%s, instead of %v: %w", what, allowed, err)
}

// unheard is a compression that no server knows.
type unheard struct{}

func (unheard) Name() string { return "unheard" }

func (unheard) Compress(to io.Writer) (io.WriteCloser, error) { return nopCloser{to}, nil }

func (unheard) Decompress(from io.Reader) (io.Reader, error) { return from, nil }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func init() { encoding.RegisterCompressor(unheard{}) }

// usual makes calls as honest clients do, once each.
func (c *caller) usual(ctx context.Context) error {
	several := func(n int) (requests [][]byte) {
		for range n {
			requests = append(requests, publish(anyEvent()))
		}
		return requests
	}
	return errors.Join(
		want("Publish", c.call(ctx, "Publish", publish(anyEvent())), codes.OK),
		want("PublishBatch", c.call(ctx, "PublishBatch", batch([]event{anyEvent(), anyEvent(), anyEvent()})), codes.OK),
		want("PublishStream", c.send(ctx, "PublishStream", several(3)), codes.OK),
		want("Relay", c.send(ctx, "Relay", several(2)), codes.OK),
		want("Lookup", c.call(ctx, "Lookup", look(0, 0)), codes.OK),
		c.json(ctx, "Publish", `{"event":`+anyEvent().json()+`}`),
	)
}

// unusual makes calls that are refused, fail, or come twice: each kind once.
func (c *caller) unusual(ctx context.Context) error {
	known, other := anyEvent(), anyEvent()
	other.id, other.source = known.id, known.source
	retried, given := anyEvent(), anyEvent()
	retried.kind, given.kind = "retried", "given-up"
	// A Timestamp of a year that no client can read.
	untimely := nested(nil, 1, append(anyEvent().proto(), nested(nil, 5, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1<<50))...))
	errs := []error{
		want("a new event", c.call(ctx, "Publish", publish(known)), codes.OK),
		want("a duplicate", c.call(ctx, "Publish", publish(known)), codes.OK),
		want("a conflict", c.call(ctx, "Publish", publish(other)), codes.AlreadyExists),
		want("no event", c.call(ctx, "Publish", nil), codes.InvalidArgument),
		want("an event of no time", c.call(ctx, "Publish", untimely), codes.InvalidArgument),
		want("an event that is tried twice", c.call(ctx, "Publish", publish(retried)), codes.OK),
		want("an event that is given up", c.call(ctx, "Publish", publish(given)), codes.OK),
		want("a large request", c.call(ctx, "Lookup", make([]byte, 6<<20)), codes.ResourceExhausted),
		want("garbage", c.call(ctx, "Publish", []byte("\x0a\xff garbage")), codes.Internal, codes.InvalidArgument),
		want("an unknown compression", c.call(ctx, "Lookup", look(0, 0), grpc.UseCompressor(unheard{}.Name())), codes.Unimplemented),
		want("large metadata", c.call(metadata.AppendToOutgoingContext(ctx, "large", strings.Repeat("x", 17<<10)), "Lookup", nil), codes.Internal, codes.ResourceExhausted, codes.Unavailable),
		want("no request", c.send(ctx, "Lookup", nil), codes.Internal, codes.InvalidArgument),
		want("an unknown RPC", c.call(ctx, fmt.Sprintf("Unknown%d", rand.Uint32()), nil), codes.Unimplemented),
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		errs = append(errs, want("a code", c.call(ctx, "Lookup", look(uint64(code), 0)), code))
	}
	empty := new([]byte)
	errs = append(errs, want("an unknown service", c.conn.Invoke(ctx, fmt.Sprintf("/unknown%d.Service/Call", rand.Uint32()), empty, new([]byte)), codes.Unimplemented))
	for what, sent := range map[string][]string{"another content type": {"text/plain"}, "a deadline that has passed": {"application/grpc", "Grpc-Timeout", "1n"}} {
		if _, err := c.plain(ctx, "Lookup", sent[0], sent[1:]...); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	for what, path := range map[string]string{"an unknown field": service + "Publish", "an unknown path": fmt.Sprintf("/unknown/%d", rand.Uint32())} {
		got, err := c.post(ctx, path, "application/json", `{"nonesuch":1}`, "User-Agent", fmt.Sprintf("agent/%d", rand.Uint32()))
		if err == nil && got < 400 {
			err = fmt.Errorf("%s by HTTP has the status %d", what, got)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// each calls one of some functions after the other, at least a pause apart, until ctx
// ends, and returns the first error.
func each(ctx context.Context, pause time.Duration, calls ...func(context.Context) error) error {
	for ctx.Err() == nil {
		for _, call := range calls {
			if err := call(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
	return nil
}
