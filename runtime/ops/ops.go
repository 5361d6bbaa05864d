// Package ops serves what operators and Kubernetes need, by plain HTTP on a port of its
// own, so that probes need no certificate and no API key:
//
//	/livez          200 while the process answers
//	/readyz         200 if the server is ready, else 503, with what it needs as JSON
//	/debug/pprof/   profiles of Go, if asked for
//
// and the pages of others, such as /metrics of package metrics. The port answers until
// the server has drained. It has no access control, so by default it is open to its own
// machine only; it says nothing about events or callers. Pages that do, as the console
// does, must have access control of their own.
package ops

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// DefaultAddr is the address that a program has without flags. If another program, such
// as a second server, has it, the server runs without the port.
const DefaultAddr = "localhost:9464"

// Config is the configuration of the port. The zero value has none.
type Config struct {
	// Addr is the host:port to listen on; "" for no such port.
	Addr string
	// Pprof says whether to serve profiles. They show the program's memory and slow it
	// down, so give it only where nobody else reaches the port.
	Pprof bool
}

// Flags defines the flags --ops-addr and --pprof, for [server.Parse].
func (c *Config) Flags(flags *flag.FlagSet) {
	flags.StringVar(&c.Addr, "ops-addr", DefaultAddr, "`host:port` for probes and metrics, in plain HTTP; none if it is empty")
	flags.BoolVar(&c.Pprof, "pprof", false, "serve profiles of the program at --ops-addr, to whoever reaches that")
}

// Option makes a server listen, if the configuration has an address. Without one there can
// be no profiles.
func (c *Config) Option() server.Option {
	switch {
	case c.Addr == "" && c.Pprof:
		return server.Invalid(errors.New("--pprof serves profiles at --ops-addr, which is empty: give that an address, or leave out --pprof"))
	case c.Addr == "":
		return server.Options()
	}
	return server.Ports(&port{config: *c})
}

// port implements [server.Port].
type port struct {
	config   Config
	listener net.Listener // nil if another program has the default address
	http     *http.Server
}

// Open implements [server.Port].
func (p *port) Open(s *server.Server) (err error) {
	listener, err := net.Listen("tcp", p.config.Addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && p.config.Addr == DefaultAddr:
		s.Log().Warn("no probes or metrics are served: another program has the default address of the ops port; give another by --ops-addr, or \"\" for none", "addr", DefaultAddr)
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("--ops-addr %s is in use by another program: stop that program, or choose another address", p.config.Addr)
	case err != nil:
		return fmt.Errorf("--ops-addr %s: %w", p.config.Addr, err)
	}
	pages, err := pages(s, p.config.Pprof)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	p.listener, p.http = listener, newHTTP(pages)
	p.http.ErrorLog = slog.NewLogLogger(s.Log().Handler(), slog.LevelWarn)
	if addr, ok := listener.Addr().(*net.TCPAddr); ok && p.config.Pprof && !addr.IP.IsLoopback() {
		s.Log().Warn("whoever reaches the ops port can profile the program, which shows its memory and slows it down (--pprof)", "addr", listener.Addr().String())
	}
	s.Log().Info("serving probes", "addr", listener.Addr().String())
	return nil
}

// Listens returns the flag that asks for the port, and its address, for
// [server.Server.PortAddr].
func (p *port) Listens() (flag, addr string) {
	if p.listener != nil {
		addr = p.listener.Addr().String()
	}
	return "ops-addr", addr
}

// Serve implements [server.Port].
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

// Close implements [server.Port].
func (p *port) Close() {
	if p.listener != nil {
		_ = errors.Join(p.http.Close(), p.listener.Close())
	}
}
