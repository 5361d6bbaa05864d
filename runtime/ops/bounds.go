package ops

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// What a client may take.
const (
	mostConnections = 64
	mostHeaderBytes = 16 << 10
	headerTimeout   = 5 * time.Second
	requestTimeout  = 10 * time.Second
	answerTimeout   = 30 * time.Second // package pprof adds the time of a profile
	idleTimeout     = 2 * time.Minute
)

// newHTTP returns a server of pages that is within the bounds.
func newHTTP(pages http.Handler) *http.Server {
	open := connections{since: map[net.Conn]time.Time{}}
	return &http.Server{
		Handler: pages, MaxHeaderBytes: mostHeaderBytes, ReadHeaderTimeout: headerTimeout,
		ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, ConnState: open.changed,
	}
}

// connections are those that are open. For one too many, the one is closed that has
// waited for its client for longest: so idle ones keep no probe out.
type connections struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time // when it began to wait for its client; zero while it is answered
}

// changed is called by the server with what becomes of a connection.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if len(c.since) >= mostConnections && !c.closeOne() {
			_ = conn.Close()
			return
		}
		c.since[conn] = time.Now()
	case http.StateIdle:
		c.since[conn] = time.Now()
	case http.StateActive:
		c.since[conn] = time.Time{}
	case http.StateClosed, http.StateHijacked:
		delete(c.since, conn)
	}
}

// closeOne closes the connection that has waited for its client for longest, and reports
// whether there is one. The lock is held.
func (c *connections) closeOne() bool {
	var longest net.Conn
	for conn, since := range c.since {
		if !since.IsZero() && (longest == nil || since.Before(c.since[longest])) {
			longest = conn
		}
	}
	if longest == nil {
		return false
	}
	delete(c.since, longest)
	_ = longest.Close()
	return true
}
