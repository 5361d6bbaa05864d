//runtime:used

package server

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
)

// GRPCOptions passes options of gRPC to the server, such as [grpc.WriteBufferSize].
// [Run] and [Listen] return an error that names the way out for an option that the
// server's own would replace, such as [grpc.Creds], or that would pass them by, such as
// [grpc.ChainUnaryInterceptor]: every RPC is a stream for gRPC in this server, so that
// it would never be called.
func GRPCOptions(options ...grpc.ServerOption) Option {
	return option(func(all *services) { all.grpc, all.checkGRPC = append(all.grpc, options...), checkOptions })
}

// Credentials makes the server take each connection with credentials of yours, instead
// of the certificate that its configuration names. If they don't encrypt, the same
// holds as without them: [Config] has to allow plaintext on an address that other
// machines can reach.
func Credentials(own credentials.TransportCredentials) Option {
	return option(func(all *services) { all.credentials = own })
}

// StatsHandlers adds handlers that gRPC calls for each connection and call, such as
// that of OpenTelemetry. They also see the calls that the server's limits end. In this
// server each call counts as a stream, and an [stats.InPayload] has the lengths of a
// request but not the message.
func StatsHandlers(handlers ...stats.Handler) Option {
	return option(func(all *services) { all.stats = append(all.stats, handlers...) })
}

// passed are the fields of gRPC's own options that the user may set.
var passed = map[string]bool{
	"statsHandlers": true, "binaryLogger": true, "cp": true,
	"maxSendMessageSize": true, "writeBufferSize": true, "sharedWriteBuffer": true, "bufferPool": true,
	"headerTableSize": true, "keepalivePolicy": true,
	"numServerWorkers": true, "waitForHandlers": true,
}

// refused are the fields that the user may not set, with the way out. One that is in
// neither map is refused too: a later gRPC may have more that pass the server by.
var refused = map[string]string{
	"unaryInt":              unaryWayOut,
	"chainUnaryInts":        unaryWayOut,
	"streamInt":             streamWayOut,
	"chainStreamInts":       streamWayOut,
	"creds":                 "grpc.Creds: pass credentials by server.Credentials",
	"codec":                 "a codec: the limits of the server need its own. Other encodings can be added by encoding.RegisterCodecV2 on a grpc.Server of your own",
	"dc":                    "grpc.RPCDecompressor: add a compression by encoding.RegisterCompressor",
	"inTapHandle":           "grpc.InTapHandle: the limits of the server use it. Refuse calls by server.Guards",
	"unknownStreamDesc":     "grpc.UnknownServiceHandler: it would run without the limits of the server and without recovery of panics. Serve it on a grpc.Server of your own",
	"maxConcurrentStreams":  "grpc.MaxConcurrentStreams: set --max-streams (Config.MaxStreams)",
	"maxHeaderListSize":     "grpc.MaxHeaderListSize: set --max-metadata-bytes (Config.MaxMetadataBytes)",
	"maxReceiveMessageSize": "grpc.MaxRecvMsgSize: set --max-message-bytes (Config.MaxMessageBytes)",
	"keepaliveParams":       "grpc.KeepaliveParams: set --idle-timeout, --max-connection-age and --max-connection-age-grace (fields of Config)",
	"connectionTimeout":     "grpc.ConnectionTimeout: it follows from --drain-timeout (Config.DrainTimeout)",
	"initialWindowSize":     windowWayOut,
	"initialConnWindowSize": windowWayOut,
	"staticWindowSize":      windowWayOut,
	"readBufferSize":        "grpc.ReadBufferSize: the server reads through a buffer of its own. Leave the option out",
}

const (
	unaryWayOut  = "an interceptor of unary RPCs, which would never be called: pass it by server.UnaryInterceptors"
	streamWayOut = "an interceptor of streams, which would also get unary RPCs: pass it by server.StreamInterceptors"
	windowWayOut = "the window of a stream or connection, on which the memory of the server depends: leave the option out"
)

// checkOptions returns an error for each option that the server can't pass on. What an
// option does can't be asked for: it is seen in the fields of a server that has it, and
// that is never used.
func checkOptions(options []grpc.ServerOption) (err error) {
	if len(options) == 0 {
		return nil
	}
	if slices.Contains(options, nil) {
		return errors.New("server.GRPCOptions has an option that is nil")
	}
	defer func() {
		if cause := recover(); cause != nil { // as of an option that may be given only once
			err = fmt.Errorf("server.GRPCOptions: %v", cause)
		}
	}()
	without, with := grpc.NewServer(), grpc.NewServer(options...)
	defer without.Stop()
	defer with.Stop()
	before := reflect.ValueOf(without).Elem().FieldByName("opts")
	after := reflect.ValueOf(with).Elem().FieldByName("opts")
	if before.Kind() != reflect.Struct {
		return errors.New("server.GRPCOptions does not know this version of gRPC: update what generated the server, or have a grpc.Server of your own")
	}
	var set []string
	for i := range before.NumField() {
		name := before.Type().Field(i).Name
		if passed[name] || same(before.Field(i), after.Field(i)) {
			continue
		}
		line := "server.GRPCOptions sets " + cmp.Or(refused[name], name+" of gRPC, which this server does not know: have a grpc.Server of your own")
		if !slices.Contains(set, line) {
			set = append(set, line)
		}
	}
	if set == nil {
		return nil
	}
	return errors.New(strings.Join(set, "\n"))
}

// same reports whether an option left a field as it is.
func same(before, after reflect.Value) bool {
	switch before.Kind() {
	case reflect.Slice, reflect.Map:
		return before.Len() == after.Len()
	case reflect.Func:
		return before.IsNil() && after.IsNil()
	case reflect.Interface, reflect.Pointer:
		return before.IsNil() == after.IsNil()
	default:
		return before.Comparable() && before.Equal(after)
	}
}
