package prove

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// parentVariable is where the process of the server finds the test that has started it.
const parentVariable = "PROVE_PARENT"

// description is what a server says of itself once it listens.
type description struct {
	Addr string
	RPCs []takes
}

// takes is an RPC that takes events.
type takes struct {
	Service, Method string // by their names in the proto
	Holder, ID      string // the field with the events, and that with the id of one; may be ""
	Where           string // it is implemented: file:line, from the root of the module; "" if that is not known
}

// orders are what the test wants of the server, a byte each.
const (
	stopServer = 's'
	fillUp     = 'f'
	makeRoom   = 'r'
)

// serveIfChild runs the server, and ends the process with it, if this process was started
// for that. Its arguments come after the flags of the test.
func serveIfChild(run func(context.Context, []string) error, args []string) {
	parent := os.Getenv(parentVariable)
	if parent == "" {
		return
	}
	if err := serve(parent, run, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(parent string, run func(context.Context, []string) error, args []string) error {
	conn, err := net.Dial("tcp", parent)
	if err != nil {
		return err
	}
	eventlog.Register(openSlow, slowScheme)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		for order := make([]byte, 1); ; {
			if _, err := conn.Read(order); err != nil {
				os.Exit(1) // the test has ended
			}
			if order[0] == stopServer {
				stop()
			} else if err := fillDisk(order[0] == fillUp); err != nil {
				fmt.Fprintln(os.Stderr, "filling the disk:", err)
				os.Exit(1)
			}
		}
	}()
	return run(server.OnListen(ctx, func(s *server.Server) { _ = json.NewEncoder(conn).Encode(describe(s)) }), args)
}

func describe(s *server.Server) description {
	described := description{Addr: s.Addr()}
	for _, service := range s.Services() {
		for _, name := range slices.Sorted(maps.Keys(service.RPCs)) {
			if rpc := service.RPCs[name]; rpc.Sources != nil && rpc.Fields != nil {
				described.RPCs = append(described.RPCs, takes{service.Desc.ServiceName, name, rpc.Fields.Holder, rpc.Fields.ID,
					servertest.Where(service.Impl, name)})
			}
		}
	}
	return described
}

// slowScheme is that of the URL of a log that waits before each append. So an event that is
// acknowledged before it is stored is lost if the process is killed meanwhile.
const slowScheme = "prove-slow"

type slowLog struct{ eventlog.Log }

func openSlow(ctx context.Context, url string, _ eventlog.Mode) (eventlog.Log, error) {
	log, err := eventlog.Open(ctx, "sqlite"+strings.TrimPrefix(url, slowScheme))
	return slowLog{log}, err
}

func (l slowLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	select {
	case <-ctx.Done():
		return nil, eventlog.Ended(ctx)
	case <-time.After(slowSync):
		return l.Log.Append(ctx, events...)
	}
}
