// Package ops serves what operators and Kubernetes need, by plain HTTP on a port of its
// own: whether the server lives and is ready, and pages of others, such as metrics.
package ops

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// DefaultAddr is the address that a program has without flags. If another program, such
// as a second server, has it, the server runs without the port.
const DefaultAddr = "localhost:9464"

// Config is the configuration of the port. The zero value has none.
type Config struct {
	// Addr is the host:port to listen on; "" for no such port.
	Addr string
}

// Flags defines the flag --ops-addr, for [server.Parse].
func (c *Config) Flags(flags *flag.FlagSet) {
	flags.StringVar(&c.Addr, "ops-addr", DefaultAddr, "`host:port` for probes and metrics, in plain HTTP; none if it is empty")
}

// Option makes a server listen, if the configuration has an address.
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
	p.listener, err = net.Listen("tcp", p.config.Addr)
	if errors.Is(err, syscall.EADDRINUSE) && p.config.Addr == DefaultAddr {
		s.Log().Warn("there are no probes and metrics: another program has the default address of the ops port; give another --ops-addr", "addr", DefaultAddr)
		return nil
	}
	if err != nil {
		return fmt.Errorf("--ops-addr %s: %w", p.config.Addr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(to http.ResponseWriter, _ *http.Request) { fmt.Fprintln(to, "ok") })
	s.Pages(mux.Handle)
	p.http.Handler, p.http.ReadHeaderTimeout = mux, 5*time.Second
	return nil
}

func (p *port) Serve() error {
	if p.listener == nil {
		return nil
	}
	if err := p.http.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the ops port at %s: %w", p.listener.Addr(), err)
	}
	return nil
}

// Drain does nothing: probes and metrics are for the time of draining, too.
func (p *port) Drain() {}

func (p *port) Close() {
	if p.listener != nil {
		_ = errors.Join(p.http.Close(), p.listener.Close())
	}
}
