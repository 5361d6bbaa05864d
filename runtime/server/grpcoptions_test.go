//lint:file-ignore SA1019 Deprecated options may be passed, too.

package server

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/experimental"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// TestNoOptionIsLostSilently passes each option that gRPC has.
func TestNoOptionIsLostSilently(t *testing.T) {
	unary := func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { return nil, nil }
	stream := func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { return nil }
	for name, test := range map[string]struct {
		option grpc.ServerOption
		names  string // what the error names; "" without an error
	}{
		"UnaryInterceptor":           {grpc.UnaryInterceptor(unary), "server.UnaryInterceptors"},
		"ChainUnaryInterceptor":      {grpc.ChainUnaryInterceptor(unary, unary), "server.UnaryInterceptors"},
		"StreamInterceptor":          {grpc.StreamInterceptor(stream), "server.StreamInterceptors"},
		"ChainStreamInterceptor":     {grpc.ChainStreamInterceptor(stream), "server.StreamInterceptors"},
		"Creds":                      {grpc.Creds(insecure.NewCredentials()), "server.Credentials"},
		"InTapHandle":                {grpc.InTapHandle(func(ctx context.Context, _ *tap.Info) (context.Context, error) { return ctx, nil }), "InTapHandle"},
		"ForceServerCodec":           {grpc.ForceServerCodec(oldCodec{}), "codec"},
		"ForceServerCodecV2":         {grpc.ForceServerCodecV2(encoding.GetCodecV2("proto")), "codec"},
		"CustomCodec":                {grpc.CustomCodec(oldCodec{}), "codec"},
		"RPCDecompressor":            {grpc.RPCDecompressor(grpc.NewGZIPDecompressor()), "encoding.RegisterCompressor"},
		"UnknownServiceHandler":      {grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return nil }), "UnknownServiceHandler"},
		"MaxConcurrentStreams":       {grpc.MaxConcurrentStreams(1), "--max-streams"},
		"MaxMsgSize":                 {grpc.MaxMsgSize(1), "--max-message-bytes"},
		"MaxRecvMsgSize":             {grpc.MaxRecvMsgSize(1), "--max-message-bytes"},
		"KeepaliveParams":            {grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: time.Hour}), "--max-connection-age"},
		"ConnectionTimeout":          {grpc.ConnectionTimeout(time.Second), "--drain-timeout"},
		"InitialWindowSize":          {grpc.InitialWindowSize(1 << 20), "window"},
		"InitialConnWindowSize":      {grpc.InitialConnWindowSize(1 << 20), "window"},
		"StaticStreamWindowSize":     {grpc.StaticStreamWindowSize(1 << 20), "window"},
		"StaticConnWindowSize":       {grpc.StaticConnWindowSize(1 << 20), "window"},
		"ReadBufferSize":             {grpc.ReadBufferSize(1), "ReadBufferSize"},
		"nil":                        {nil, "nil"},
		"RPCCompressor":              {grpc.RPCCompressor(grpc.NewGZIPCompressor()), ""},
		"StatsHandler":               {grpc.StatsHandler(counted{}), ""},
		"KeepaliveEnforcementPolicy": {grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second}), ""},
		"MaxSendMsgSize":             {grpc.MaxSendMsgSize(1), ""},
		"MaxHeaderListSize":          {grpc.MaxHeaderListSize(1), "--max-metadata-bytes"},
		"HeaderTableSize":            {grpc.HeaderTableSize(1), ""},
		"WriteBufferSize":            {grpc.WriteBufferSize(1), ""},
		"SharedWriteBuffer":          {grpc.SharedWriteBuffer(false), ""},
		"NumStreamWorkers":           {grpc.NumStreamWorkers(1), ""},
		"WaitForHandlers":            {grpc.WaitForHandlers(true), ""},
		"BufferPool":                 {experimental.BufferPool(mem.NopBufferPool{}), ""},
		"EmptyServerOption":          {grpc.EmptyServerOption{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := Listen(free(), tested(&service{}), GRPCOptions(grpc.EmptyServerOption{}, test.option))
			if err == nil {
				server.listener.Close()
			}
			switch {
			case test.names == "" && err != nil:
				t.Error(err)
			case test.names != "":
				oneLine(t, err, "server.GRPCOptions", test.names)
			}
		})
	}
}

// oldCodec is a codec of the first kind that gRPC had.
type oldCodec struct{}

func (oldCodec) Marshal(any) ([]byte, error) { return nil, nil }
func (oldCodec) Unmarshal([]byte, any) error { return nil }
func (oldCodec) Name() string                { return "old" }
func (oldCodec) String() string              { return "old" }

func TestAnOptionThatPanicsIsAnError(t *testing.T) {
	one := grpc.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { return nil, nil })
	_, err := Listen(free(), tested(&service{}), GRPCOptions(one, one))
	oneLine(t, err, "server.GRPCOptions", "The unary server interceptor was already set")
}

func TestAllOptionsThatAreRefusedAreNamed(t *testing.T) {
	_, err := Listen(free(), tested(&service{}), GRPCOptions(grpc.MaxConcurrentStreams(1)),
		GRPCOptions(grpc.Creds(insecure.NewCredentials()), grpc.StaticConnWindowSize(1<<20), grpc.StaticStreamWindowSize(1<<20)))
	if err == nil {
		t.Fatal("they are taken")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.Contains(err.Error(), "--max-streams") || !strings.Contains(err.Error(), "server.Credentials") {
		t.Errorf("the error is\n%v", err)
	}
}

// TestOptionsOfTheUserHold sets one that gRPC's clients notice.
func TestOptionsOfTheUserHold(t *testing.T) {
	running := serve(t, free(), tested(&service{}), GRPCOptions(grpc.MaxSendMsgSize(10)))
	client := testpb.NewTestServiceClient(dial(t, running.Addr()))
	if _, err := client.UnaryCall(soon(t), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 100)}}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a reply that is too large for the user: %v", err)
	}
}

// elsewhere are credentials that make a connection appear to come from elsewhere, as
// behind a proxy.
type elsewhere struct {
	credentials.TransportCredentials
	used *atomic.Int64
}

type conn struct{ net.Conn }

func (conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

func (e elsewhere) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	e.used.Add(1)
	encrypted, info, err := e.TransportCredentials.ServerHandshake(raw)
	return conn{encrypted}, info, err
}

func (e elsewhere) Clone() credentials.TransportCredentials { return e }

// TestCredentialsOfTheUserTakeEachConnection checks that the handler sees what they say of
// the client, and that the limits of the server hold.
func TestCredentialsOfTheUserTakeEachConnection(t *testing.T) {
	certFile, keyFile := certificate(t)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	own := elsewhere{credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}}), new(atomic.Int64)}
	config := free()
	config.MaxCalls = 1
	var protocol atomic.Value
	running := serve(t, config, Credentials(own), tested(&service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		from, _ := peer.FromContext(ctx)
		protocol.Store(from.AuthInfo.AuthType())
		return &testpb.SimpleResponse{}, nil
	}}))
	trusted, err := credentials.NewClientTLSFromFile(certFile, "")
	if err != nil {
		t.Fatal(err)
	}
	encrypted := dial(t, running.Addr(), grpc.WithTransportCredentials(trusted))
	if _, err := testpb.NewTestServiceClient(encrypted).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	if own.used.Load() != 1 || protocol.Load() != "tls" {
		t.Errorf("they took %d connections, and the handler sees the protocol %v", own.used.Load(), protocol.Load())
	}
	waiting := begin(t, encrypted) // for its client: another call ends it
	if _, err := testpb.NewTestServiceClient(encrypted).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := waiting.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a call beyond --max-calls: %v", err)
	}
	if _, err := testpb.NewTestServiceClient(dial(t, running.Addr())).UnaryCall(soon(t), &testpb.SimpleRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("in plaintext: %v", err)
	}
}

func TestThereIsOneKindOfCredentials(t *testing.T) {
	config := free()
	config.TLSCert, config.TLSKey = certificate(t)
	_, err := Listen(config, tested(&service{}), Credentials(insecure.NewCredentials()))
	oneLine(t, err, "server.Credentials", "--tls-cert")
}
