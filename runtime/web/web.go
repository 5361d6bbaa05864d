// Package web serves the services of a server by HTTP, on a port beside that of gRPC: to
// curl and browsers by JSON, the Connect protocol and gRPC-Web. The calls pass what calls
// of gRPC pass: limits, guards, interceptors, checks.
package web

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/rs/cors"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Config is the configuration of the port. The zero value has none.
type Config struct {
	// Addr is the host:port to listen on; "" for no HTTP. Like that of gRPC, it needs
	// certificates or [server.Config].Insecure if other machines can reach it.
	Addr string
	// WebhookOrigins are the senders of CloudEvents whose handshake is answered, by which
	// some ask before they send anything, such as "eventgrid.azure.net"; "*" for all. By
	// default there are none. It does not say who may send: keys do.
	WebhookOrigins []string
	// CORSOrigins are the origins whose pages may call from browsers, such as
	// "https://app.example.com"; "*" for all. By default there are none. Calls of others
	// are refused, also of pages that have the same origin as the server.
	CORSOrigins []string
}

// cloudEvents is what its files add, which a module without events does not have.
var cloudEvents struct {
	flags func(*Config, *flag.FlagSet)
	mount func(*port, []server.PortRPC)
}

// Flags defines the flags --http-addr and --cors-origins, for [server.Parse].
func (c *Config) Flags(flags *flag.FlagSet) {
	flags.Var((*address)(&c.Addr), "http-addr", "`host:port` for HTTP: JSON, Connect and gRPC-Web; none without")
	flags.Var((*origins)(&c.CORSOrigins), "cors-origins", "`origins` whose pages may call by HTTP from browsers, such as https://app.example.com; several with commas, * for all")
	if cloudEvents.flags != nil {
		cloudEvents.flags(c, flags)
	}
}

// address is the value of --http-addr.
type address string

func (a *address) String() string { return string(*a) }

func (a *address) Set(text string) error {
	if _, _, err := net.SplitHostPort(text); err != nil && text != "" {
		return errors.New("want host:port, such as localhost:8080")
	}
	*a = address(text)
	return nil
}

// Get implements [flag.Getter].
func (a *address) Get() any { return string(*a) }

// origins is the value of --cors-origins.
type origins []string

func (o *origins) String() string { return strings.Join(*o, ",") }

func (o *origins) Set(text string) error {
	*o = nil
	for origin := range strings.SplitSeq(text, ",") {
		origin = strings.TrimSpace(origin)
		if origin == "" {
			continue
		}
		if err := checkOrigin(origin); err != nil {
			return err
		}
		*o = append(*o, origin)
	}
	return nil
}

// Get implements [flag.Getter].
func (o *origins) Get() any { return []string(*o) }

// checkOrigin returns an error for what browsers never send as an origin.
func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Host == "" || strings.ToLower(parsed.Scheme+"://"+parsed.Host) != origin || strings.Contains(origin, "*") {
		return fmt.Errorf("%q is not an origin: want scheme and host in lower case, and the port if it is not the usual one, such as https://app.example.com; or * for all", origin)
	}
	return nil
}

// Option makes a server listen for HTTP, if the configuration has an address. Without one
// there can be no origins.
func (c *Config) Option() server.Option {
	switch {
	case c.Addr == "" && len(c.CORSOrigins) > 0:
		return needsAddr("--cors-origins")
	case c.Addr == "" && len(c.WebhookOrigins) > 0:
		return needsAddr("--webhook-origins")
	case c.Addr == "":
		return server.Options()
	}
	return server.Ports(&port{config: *c})
}

func needsAddr(flag string) server.Option {
	return server.Invalid(fmt.Errorf("%s does nothing without --http-addr: give that an address, such as localhost:8080, or leave out %[1]s", flag))
}

// port implements [server.Port].
type port struct {
	config   Config
	server   *server.Server
	listener net.Listener
	http     http.Server
	rpcs     map[string]*rpc // by path
	events   http.Handler    // what is at /events or below; nil without

	mu      sync.Mutex
	unused  map[net.Conn]bool // connections on which no request has come yet
	drained bool
}

func (p *port) Open(s *server.Server) (err error) {
	for _, origin := range p.config.CORSOrigins {
		if err := checkOrigin(origin); err != nil {
			return fmt.Errorf("--cors-origins: %w", err)
		}
	}
	encryption := s.TLS("h2", "http/1.1")
	if err := s.CheckPlaintext("--http-addr", p.config.Addr, encryption != nil); err != nil {
		return err
	}
	p.server, p.unused = s, map[net.Conn]bool{}
	p.rpcs = serve(s.PortRPCs(), s.Config().MaxMessageBytes)
	if cloudEvents.mount != nil {
		cloudEvents.mount(p, s.PortRPCs())
	}
	if p.listener, err = s.ListenAt("--http-addr", p.config.Addr); err != nil {
		return err
	}
	config := s.Config()
	handshake := min(10*time.Second, max(2*time.Second, config.DrainTimeout/2)) // as that of gRPC
	p.http = http.Server{
		Handler:           p.withCORS(http.HandlerFunc(p.route)),
		TLSConfig:         encryption,
		ReadHeaderTimeout: handshake,
		IdleTimeout:       config.IdleTimeout,
		MaxHeaderBytes:    min(config.MaxMetadataBytes, math.MaxInt32-headerRoom) + headerRoom,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          min(config.MaxStreams, mostStreams),
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     64 << 10,
			SendPingTimeout:               time.Minute,
			PingTimeout:                   20 * time.Second,
		},
		Protocols: new(http.Protocols),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, c)
		},
		ConnState: p.connState,
		ErrorLog:  slog.NewLogLogger(s.Log().Handler(), slog.LevelDebug),
	}
	p.http.Protocols.SetHTTP1(true)
	p.http.Protocols.SetHTTP2(true)
	p.http.Protocols.SetUnencryptedHTTP2(true)
	return nil
}

// mostStreams is how many calls a client of HTTP/2 may have on a connection at most. Package
// http begins to handle each at once, in a goroutine, before the server can refuse it.
const mostStreams = 100

// headerRoom is by how much headers may be too large for the server to say so itself,
// rather than package http.
const headerRoom = 4 << 10

type connectionKey struct{}

// connState notes which connections are new. Draining would wait for those for seconds.
func (p *port) connState(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(p.unused, c)
	case p.drained:
		_ = c.Close()
	default:
		p.unused[c] = true
	}
}

// withCORS lets pages of the allowed origins call, and read the answers. It refuses those
// of all others, also where a browser would send their calls without asking: forms, and
// pages whose host's name has come to mean this machine, which is then of their origin.
func (p *port) withCORS(next http.Handler) http.Handler {
	var allowed *cors.Cors
	if len(p.config.CORSOrigins) > 0 {
		allowed = cors.New(cors.Options{
			AllowedOrigins: p.config.CORSOrigins,
			AllowedMethods: []string{http.MethodGet, http.MethodPost},
			AllowedHeaders: []string{"*"}, // metadata may have any name
			// The names are for browsers that don't know "*".
			ExposedHeaders: []string{"*", "Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", "Retry-After"},
			MaxAge:         int((2 * time.Hour).Seconds()), // the most that browsers take
		})
	}
	return http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		defer p.recovered(to, r)
		for _, origin := range r.Header.Values("Origin") { // only browsers send it
			if !slices.Contains(p.config.CORSOrigins, origin) && !slices.Contains(p.config.CORSOrigins, "*") {
				p.server.Unhandled(server.OtherOrigin, r.URL.Path, r.Context().Value(connectionKey{}).(net.Conn))
				p.refuse(to, r, http.StatusForbidden, connect.Errorf(connect.CodePermissionDenied,
					"pages of the origin %q may not call this server: --cors-origins does not name it", shorten(origin)))
				return
			}
		}
		switch {
		case allowed == nil:
			next.ServeHTTP(to, r)
		case r.Method == http.MethodOptions: // preflights are answered without next
			p.aside(to, r, func(r *http.Request) { allowed.ServeHTTP(to, r, next.ServeHTTP) })
		default:
			allowed.ServeHTTP(to, r, next.ServeHTTP)
		}
	})
}

// Listens returns the flag that asks for the port, and its address, for
// [server.Server.PortAddr].
func (p *port) Listens() (flag, addr string) { return "http-addr", p.listener.Addr().String() }

func (p *port) Serve() (err error) {
	encrypted := p.http.TLSConfig != nil
	p.server.Log().Info("serving HTTP", "addr", p.listener.Addr().String(), "tls", encrypted)
	p.server.WarnIfOpen(p.listener.Addr().String(), encrypted)
	if encrypted {
		err = p.http.ServeTLS(p.listener, "", "")
	} else {
		err = p.http.Serve(p.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving HTTP at %s: %w", p.listener.Addr(), err)
}

func (p *port) Drain() {
	p.mu.Lock()
	p.drained = true
	unused := p.unused
	p.unused = map[net.Conn]bool{}
	p.mu.Unlock()
	for c := range unused {
		_ = c.Close()
	}
	_ = p.http.Shutdown(context.Background())
}

func (p *port) Close() { _ = errors.Join(p.http.Close(), p.listener.Close()) }
