package ops

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// client is a connection from an address.
type client struct {
	net.Conn
	addr   string
	closed bool
}

func (c *client) RemoteAddr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", c.addr)
	return addr
}

func (c *client) Close() error {
	c.closed = true
	return nil
}

// TestNobodyIsLockedOutByThoseThatHaveMany connects from one address after another has
// taken all connections: silent, or with answers that it doesn't read.
func TestNobodyIsLockedOutByThoseThatHaveMany(t *testing.T) {
	for _, becomes := range []http.ConnState{http.StateNew, http.StateIdle, http.StateActive} {
		open := connections{all: map[net.Conn]state{}}
		prober := &client{addr: "127.0.0.1:1"}
		open.changed(prober, http.StateNew)
		time.Sleep(time.Millisecond) // it is the oldest
		var many []*client
		for i := range 3 * mostConnections {
			one := &client{addr: fmt.Sprintf("127.0.0.2:%d", i+1)}
			open.changed(one, http.StateNew)
			if !one.closed {
				open.changed(one, becomes)
			}
			many = append(many, one)
		}
		late := &client{addr: "127.0.0.1:2"}
		open.changed(late, http.StateNew)
		if prober.closed || late.closed {
			t.Errorf("%s: those of another address are closed: %v, %v", becomes, prober.closed, late.closed)
		}
		remain := 0
		for _, one := range many {
			if !one.closed {
				remain++
			}
		}
		if remain != mostConnections-2 || len(open.all) != mostConnections {
			t.Errorf("%s: %d of the many remain, and %d connections in all", becomes, remain, len(open.all))
		}
	}
}

// TestIdleConnectionsAreClosedFirst has an address with one that is answered among others.
func TestIdleConnectionsAreClosedFirst(t *testing.T) {
	open := connections{all: map[net.Conn]state{}}
	answered := &client{addr: "127.0.0.1:1"}
	open.changed(answered, http.StateNew)
	open.changed(answered, http.StateActive)
	for i := range 2 * mostConnections {
		open.changed(&client{addr: fmt.Sprintf("127.0.0.1:%d", i+2)}, http.StateNew)
	}
	if answered.closed {
		t.Error("the connection that was being answered is closed")
	}
}
