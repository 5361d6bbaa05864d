// Package web serves the services of a server by HTTP, on a port beside that of gRPC: to
// curl and browsers by JSON, the Connect protocol and gRPC-Web. The calls pass what calls
// of gRPC pass: guards, interceptors, checks.
package web

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Config is the configuration of the port. The zero value has none.
type Config struct {
	// Addr is the host:port to listen on; "" for no HTTP.
	Addr string
	// WebhookOrigins are the senders of CloudEvents whose handshake is answered, by which
	// some ask before they send anything, such as "eventgrid.azure.net"; "*" for all. By
	// default there are none. It does not say who may send: keys do.
	WebhookOrigins []string
}

// cloudEvents is what its files add, which a module without events does not have.
var cloudEvents struct {
	flags func(*Config, *flag.FlagSet)
	mount func(mux *http.ServeMux, p *port, s *server.Server)
}

// Flags defines the flag --http-addr, for [server.Parse].
func (c *Config) Flags(flags *flag.FlagSet) {
	flags.StringVar(&c.Addr, "http-addr", "", "`host:port` for HTTP: JSON, Connect and gRPC-Web; none without")
	if cloudEvents.flags != nil {
		cloudEvents.flags(c, flags)
	}
}

// Option makes a server listen for HTTP, if the configuration has an address.
func (c *Config) Option() server.Option {
	if c.Addr == "" {
		return server.Options()
	}
	return server.Ports(&port{config: *c})
}

// port implements [server.Port].
type port struct {
	config   Config
	listener net.Listener
	http     http.Server
}

func (p *port) Open(s *server.Server) (err error) {
	if p.listener, err = net.Listen("tcp", p.config.Addr); err != nil {
		return fmt.Errorf("--http-addr %s: %w", p.config.Addr, err)
	}
	mux := http.NewServeMux()
	connecthttp.Mount(mux, bridge(s.Called()))
	if cloudEvents.mount != nil {
		cloudEvents.mount(mux, p, s)
	}
	p.http.Handler, p.http.TLSConfig = mux, s.TLS("h2", "http/1.1")
	p.http.Protocols = new(http.Protocols)
	p.http.Protocols.SetHTTP1(true)
	p.http.Protocols.SetHTTP2(true)
	p.http.Protocols.SetUnencryptedHTTP2(true)
	return nil
}

func (p *port) Serve() (err error) {
	if p.http.TLSConfig != nil {
		err = p.http.ServeTLS(p.listener, "", "")
	} else {
		err = p.http.Serve(p.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving HTTP at %s: %w", p.listener.Addr(), err)
}

func (p *port) Drain() { _ = p.http.Shutdown(context.Background()) }

func (p *port) Close() { _ = errors.Join(p.http.Close(), p.listener.Close()) }

// bridge returns a server of connect for the RPCs of a server of gRPC.
func bridge(rpcs []server.Called) *connect.Server {
	bridged := connect.NewServer()
	for _, rpc := range rpcs {
		spec := connect.Spec{Procedure: rpc.Method}
		if rpc.ClientStreams {
			spec.StreamType |= connect.StreamTypeClient
		}
		if rpc.ServerStreams {
			spec.StreamType |= connect.StreamTypeServer
		}
		if rpc.Descriptor != nil {
			spec.Schema = rpc.Descriptor
		}
		bridged.Register(connect.Method{Spec: spec, Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			return publicError(rpc.Handle(newStream(ctx, rpc.Method, stream)))
		}})
	}
	return bridged
}
