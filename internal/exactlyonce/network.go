package exactlyonce

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// network is what is between a client and a server: it can be cut.
type network struct {
	address string // for the client
	server  string

	mu    sync.Mutex
	conns map[net.Conn]bool
	down  bool
	stall sync.RWMutex // held while nothing passes
}

func newNetwork(t *testing.T, server string) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{address: listener.Addr().String(), server: server, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = listener.Close()
		n.end()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go n.pass(conn)
		}
	}()
	return n
}

// pass connects a client with the server.
func (n *network) pass(client net.Conn) {
	server, err := net.Dial("tcp", n.server)
	n.mu.Lock()
	if err != nil || n.down {
		n.mu.Unlock()
		_ = client.Close()
		if err == nil {
			_ = server.Close()
		}
		return
	}
	n.conns[client], n.conns[server] = true, true
	n.mu.Unlock()
	one := func(to, from net.Conn) {
		buffer := make([]byte, 16<<10)
		for {
			count, err := from.Read(buffer)
			n.stall.RLock()
			_, failed := to.Write(buffer[:count])
			n.stall.RUnlock()
			if err != nil || failed != nil {
				break
			}
		}
		_, _ = client.Close(), server.Close()
		n.mu.Lock()
		delete(n.conns, client)
		delete(n.conns, server)
		n.mu.Unlock()
	}
	go one(server, client)
	one(client, server)
}

// end ends all connections, in the middle of what passes.
func (n *network) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for conn := range n.conns {
		_ = conn.Close()
	}
}

// cut cuts the network for a moment: nothing passes any longer, and then the connections
// end, as they do when one side gives up.
func (n *network) cut() {
	n.stall.Lock()
	time.Sleep(rand.N(30 * time.Millisecond))
	n.mu.Lock()
	n.down = true
	n.mu.Unlock()
	n.end()
	n.stall.Unlock()
	time.Sleep(rand.N(100 * time.Millisecond))
	n.mu.Lock()
	n.down = false
	n.mu.Unlock()
}
