package exactlyonce

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/dialect"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/into"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/outbox"
)

// Main runs a process of a trial, if this is one, and does not return then.
func Main(open func(url string) (*sql.DB, error)) {
	role := os.Getenv("ONCE_ROLE")
	if role == "" {
		return
	}
	endWithParent()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // what fails is meant to
	var db *sql.DB
	if url := os.Getenv("ONCE_DATABASE"); url != "" {
		var err error
		if db, err = open(url); err != nil {
			fail(role, err)
		}
	}
	ctx := context.Background()
	var err error
	switch role {
	case "sender":
		err = send(ctx, db, true)
	case "relay":
		err = send(ctx, db, false)
	case "service":
		err = serve(ctx)
	case "consumer":
		err = consume(ctx, db)
	default:
		err = errors.New("there is no such role")
	}
	fail(role, err)
}

// works prints, once, that the process has done something.
var works = sync.OnceFunc(func() { fmt.Println("works") })

// rpc is the RPC of the service, whose request is an event.
const rpc = "/exactlyonce.Orders/Place"

// send relays the events of the outbox, and writes new ones unless it is to end.
func send(ctx context.Context, db *sql.DB, writes bool) error {
	box, err := outbox.Open(ctx, db)
	if err != nil {
		return err
	}
	database, err := dialect.Of(ctx, db)
	if err != nil {
		return err
	}
	go func() {
		conn := dial(ctx)
		fail("sender", box.Relay(ctx, outbox.Send(func(ctx context.Context, event *wrapperspb.StringValue, options ...grpc.CallOption) (*emptypb.Empty, error) {
			var reply emptypb.Empty
			err := conn.Invoke(eventid.Ensure(ctx), rpc, event, &reply, options...)
			if err == nil {
				works()
			}
			return &reply, err
		})))
	}()
	if !writes {
		works()
		select {}
	}
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				if err := write(ctx, db, box, database, fmt.Sprintf("%d-%d-%d", os.Getpid(), writer, i), fmt.Sprint("customer", i%20)); err != nil {
					fail("sender", err)
				}
				time.Sleep(5 * time.Millisecond) // so that the others keep up
			}
		})
	}
	writers.Wait()
	return nil
}

// write writes a row and its event together.
func write(ctx context.Context, db *sql.DB, box *outbox.Outbox, database dialect.Dialect, id, subject string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, database.Bind("INSERT INTO orders (id) VALUES (?)"), id); err != nil {
		return err
	}
	if _, err := box.Append(ctx, tx, wrapperspb.String(id), outbox.Subject(subject)); err != nil {
		return err
	}
	return tx.Commit()
}

// dial connects to the service, once it is there.
func dial(ctx context.Context) *grpc.ClientConn {
	services := []client.Service{{Name: "exactlyonce.Orders", Methods: []client.Method{{Name: "Place", Retry: true}}}}
	for {
		conn, err := client.Dial(ctx, "unix:"+os.Getenv("ONCE_SOCKET"), services, client.Insecure())
		if err == nil {
			return conn
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// serve stores events.
func serve(ctx context.Context) error {
	log, err := open(ctx)
	if err != nil {
		return err
	}
	socket := os.Getenv("ONCE_SOCKET")
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	place := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		event := &wrapperspb.StringValue{}
		if err := decode(event); err != nil {
			return nil, err
		}
		_, err := eventlog.AppendMessages(ctx, log, []*wrapperspb.StringValue{event}, func(*wrapperspb.StringValue) eventlog.Event {
			return eventlog.Event{Source: "shop", Type: "order.placed"}
		})
		if err == nil {
			works()
		}
		return &emptypb.Empty{}, err
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "exactlyonce.Orders", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Place", Handler: place}},
	}, nil)
	return server.Serve(listener)
}

// consume writes the effects.
func consume(ctx context.Context, db *sql.DB) error {
	log, err := open(ctx)
	if err != nil {
		return err
	}
	database, err := dialect.Of(ctx, db)
	if err != nil {
		return err
	}
	return into.ConsumeMessages(ctx, log, db, "billing", func(ctx context.Context, tx *sql.Tx, events []eventlog.Stored[*wrapperspb.StringValue]) error {
		for _, event := range events {
			if _, err := tx.ExecContext(ctx, database.Bind("INSERT INTO effects (id) VALUES (?)"), event.Message.Value); err != nil {
				return err
			}
		}
		works()
		return nil
	}, eventlog.BatchSize(16))
}

// open opens the log, once its storage is there.
func open(ctx context.Context) (log eventlog.Log, err error) {
	for begin := time.Now(); time.Since(begin) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		if log, err = eventlog.Open(ctx, os.Getenv("ONCE_LOG")); err == nil {
			return log, nil
		}
	}
	return nil, err
}
