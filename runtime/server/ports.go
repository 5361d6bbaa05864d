package server

import (
	"log/slog"
	"net/http"
	"sync"
)

// Port is an address at which a server listens besides that of gRPC, such as that of
// package web.
type Port interface {
	// Open begins to listen. [Listen] calls it.
	Open(*Server) error
	// Serve answers requests until the port is closed.
	Serve() error
	// Drain takes no further requests, and returns when those under way have ended. The
	// server calls it when it drains. Serve may go on until Close.
	Drain()
	// Close ends everything. The server calls it once, after Drain or instead of it.
	Close()
}

// Ports adds ports to a server.
func Ports(ports ...Port) Option {
	return option(func(all *services) { all.ports = append(all.ports, ports...) })
}

// Page is a page for the port of package ops, such as that of metrics. Without that
// port it is served nowhere.
func Page(pattern string, page http.Handler) Option {
	return option(func(all *services) { all.pages = append(all.pages, servedPage{pattern, page}) })
}

type servedPage struct {
	pattern string
	handler http.Handler
}

// Pages calls each with the pattern and the handler of each [Page]. It is for a [Port].
func (s *Server) Pages(each func(pattern string, page http.Handler)) {
	for _, page := range s.pages {
		each(page.pattern, page.handler)
	}
}

// Config returns the configuration of the server.
func (s *Server) Config() Config { return s.config }

// Log returns where the server logs.
func (s *Server) Log() *slog.Logger { return s.log }

// openPorts opens all ports. If one can't be, it closes those that are open.
func (s *Server) openPorts() error {
	for i, port := range s.ports {
		if err := port.Open(s); err != nil {
			for _, opened := range s.ports[:i] {
				opened.Close()
			}
			return err
		}
	}
	return nil
}

// servePorts serves all ports. The channel receives an error of one that ends early.
func (s *Server) servePorts() <-chan error {
	ended := make(chan error, len(s.ports))
	for _, port := range s.ports {
		go func() {
			if err := port.Serve(); err != nil {
				ended <- err
			}
		}()
	}
	return ended
}

// drainPorts returns when all calls have ended, of gRPC and of the other ports.
func (s *Server) drainPorts() {
	var group sync.WaitGroup
	group.Go(s.grpc.GracefulStop)
	for _, port := range s.ports {
		group.Go(port.Drain)
	}
	group.Wait()
}

func (s *Server) closePorts() {
	for _, port := range s.ports {
		port.Close()
	}
}
