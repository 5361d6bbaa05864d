package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// This file has what the process of the server does.

// Variables of its environment: where its parent listens, and the arguments.
const (
	parentVariable    = "PROVE_PARENT"
	argumentsVariable = "PROVE_ARGUMENTS"
)

// served is what a server says of itself once it listens.
type served struct {
	Addr string
	RPCs []takes
}

// takes is an RPC that takes events.
type takes struct {
	Service, Method string // by their names in the proto
	Holder, ID      string // the field of the request with the events, and that of an event with its id; may be ""
	File            string // where it is implemented; "" if that is not known
	Line            int
}

// order is what the parent wants of the server.
type order string

const (
	stopServer order = "stop"
	fillUp     order = "fill the disk"
	makeRoom   order = "make room"
)

// serveIfChild runs the server, and ends the process with it, if this is one that a parent
// has started for that.
func serveIfChild(run func(context.Context, []string) error) {
	parent := os.Getenv(parentVariable)
	if parent == "" {
		return
	}
	err := serve(parent, run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(parent string, run func(context.Context, []string) error) error {
	var args []string
	if err := json.Unmarshal([]byte(os.Getenv(argumentsVariable)), &args); err != nil {
		return err
	}
	conn, err := net.Dial("tcp", parent)
	if err != nil {
		return err
	}
	orders, replies := json.NewDecoder(conn), json.NewEncoder(conn)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	eventlog.Register(openSlow, slowScheme)
	ctx = server.OnListen(ctx, func(s *server.Server) {
		_ = replies.Encode(describe(s))
		go func() {
			for {
				var next order
				if orders.Decode(&next) != nil {
					os.Exit(1) // the parent has ended
				}
				reply := ""
				if next == stopServer {
					stop()
				} else if err := fillDisk(next == fillUp); err != nil {
					reply = err.Error()
				}
				_ = replies.Encode(reply)
			}
		}()
	})
	return run(ctx, args)
}

// describe returns what a server serves.
func describe(s *server.Server) served {
	described := served{Addr: s.Addr()}
	for _, service := range s.Services() {
		var names []string
		for _, method := range service.Desc.Methods {
			names = append(names, method.MethodName)
		}
		for _, stream := range service.Desc.Streams {
			names = append(names, stream.StreamName)
		}
		for _, name := range names {
			if rpc := service.RPCs[name]; rpc.Sources != nil && rpc.Fields != nil {
				file, line := implementation(service.Impl, name)
				described.RPCs = append(described.RPCs, takes{Service: service.Desc.ServiceName, Method: name,
					Holder: rpc.Fields.Holder, ID: rpc.Fields.ID, File: file, Line: line})
			}
		}
	}
	return described
}

// implementation returns the file and the line where an RPC is implemented, or "" if its
// method is one of an embedded type.
func implementation(impl any, rpc string) (file string, line int) {
	kind, name := reflect.TypeOf(impl), strings.ReplaceAll(rpc, "_", "")
	for i := range kind.NumMethod() {
		if method := kind.Method(i); strings.EqualFold(strings.ReplaceAll(method.Name, "_", ""), name) {
			code := runtime.FuncForPC(method.Func.Pointer())
			if file, line = code.FileLine(code.Entry()); filepath.IsAbs(file) {
				return file, line
			}
		}
	}
	return "", 0
}

// slowScheme is that of logs whose appends take longer.
const slowScheme = "prove-slow"

func slowURL(path string) string { return slowScheme + ":" + path }

func openSlow(ctx context.Context, url string, mode eventlog.Mode) (eventlog.Log, error) {
	if mode != eventlog.ReadWrite {
		return nil, errors.New("a slow log is for appending")
	}
	_, path, _ := strings.Cut(url, ":")
	log, err := eventlog.Open(ctx, "sqlite:"+path)
	return slowLog{log}, err
}

// slowLog is a log that waits before each append. So an event that is acknowledged before
// it is stored is lost if the process is killed meanwhile.
type slowLog struct{ eventlog.Log }

func (l slowLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	select {
	case <-ctx.Done():
		return nil, eventlog.Ended(ctx)
	case <-time.After(slowSync):
		return l.Log.Append(ctx, events...)
	}
}
