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
	open := connections{all: map[net.Conn]state{}}
	return &http.Server{
		Handler: pages, MaxHeaderBytes: mostHeaderBytes, ReadHeaderTimeout: headerTimeout,
		ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, ConnState: open.changed,
	}
}

// connections are those that are open. Where there are as many as there may be, a new one
// takes the place of another: so nobody who has few can be locked out by those that have
// many, whether these are silent or don't read their answers.
type connections struct {
	mu  sync.Mutex
	all map[net.Conn]state
}

type state struct {
	host     string
	since    time.Time
	answered bool // since then, rather than idle
}

func (c *connections) changed(conn net.Conn, to http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch to {
	case http.StateNew, http.StateIdle, http.StateActive:
		c.all[conn] = state{hostOf(conn), time.Now(), to == http.StateActive}
		if to == http.StateNew && len(c.all) > mostConnections {
			c.closeOne()
		}
	case http.StateClosed, http.StateHijacked:
		delete(c.all, conn)
	}
}

func hostOf(conn net.Conn) string {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	return host
}

// closeOne closes a connection of the address that has most: the one that has been idle
// for longest, or else answered for longest.
func (c *connections) closeOne() {
	by := map[string]int{}
	for _, one := range c.all {
		by[one.host]++
	}
	var victim net.Conn
	for conn, one := range c.all {
		of, has := c.all[victim], 0
		if victim != nil {
			has = by[of.host]
		}
		switch {
		case by[one.host] != has:
			if by[one.host] < has {
				continue
			}
		case one.answered != of.answered:
			if one.answered {
				continue
			}
		case !one.since.Before(of.since):
			continue
		}
		victim = conn
	}
	delete(c.all, victim)
	_ = victim.Close()
}
