//runtime:with web ops metrics console

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
	return option(func(all *services) {
		of := portsOf(all)
		of.ports = append(of.ports, ports...)
	})
}

// Page is a page for the port of package ops, such as that of metrics. Without that
// port it is served nowhere.
func Page(pattern string, page http.Handler) Option {
	return option(func(all *services) {
		of := portsOf(all)
		of.pages = append(of.pages, servedPage{pattern, page})
	})
}

// allPorts are the ports of a server, and its pages.
type allPorts struct {
	ports []Port
	pages []servedPage
}

type servedPage struct {
	pattern string
	handler http.Handler
}

func portsOf(all *services) *allPorts {
	if all.ports == nil {
		all.ports = &allPorts{}
	}
	return all.ports.(*allPorts)
}

// Pages calls each with the pattern and the handler of each [Page]. It is for a [Port].
func (s *Server) Pages(each func(pattern string, page http.Handler)) {
	all, ok := s.ports.(*allPorts)
	if !ok {
		return
	}
	for _, page := range all.pages {
		each(page.pattern, page.handler)
	}
}

// PortAddr returns the address, as host:port, of the [Port] for which a flag has one, such
// as "ops-addr". It is "" if there is none, or if that does not say so, by a method Listens.
func (s *Server) PortAddr(flag string) string {
	all, ok := s.ports.(*allPorts)
	if !ok {
		return ""
	}
	for _, port := range all.ports {
		if port, ok := port.(interface{ Listens() (flag, addr string) }); ok {
			if of, addr := port.Listens(); of == flag {
				return addr
			}
		}
	}
	return ""
}

// Config returns the configuration of the server.
func (s *Server) Config() Config { return s.config }

// Log returns where the server logs.
func (s *Server) Log() *slog.Logger { return s.log }

// open opens all ports. If one can't be, it closes those that are open.
func (all *allPorts) open(s *Server) error {
	for i, port := range all.ports {
		if err := port.Open(s); err != nil {
			for _, opened := range all.ports[:i] {
				opened.Close()
			}
			return err
		}
	}
	return nil
}

func (all *allPorts) serve() <-chan error {
	ended := make(chan error, len(all.ports))
	for _, port := range all.ports {
		go func() {
			if err := port.Serve(); err != nil {
				ended <- err
			}
		}()
	}
	return ended
}

func (all *allPorts) drain() {
	var group sync.WaitGroup
	for _, port := range all.ports {
		group.Go(port.Drain)
	}
	group.Wait()
}

func (all *allPorts) close() {
	for _, port := range all.ports {
		port.Close()
	}
}
