package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"google.golang.org/protobuf/types/known/structpb"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverclient"
	"example.com/receiver/gen/receiverpb/receiverevents"
	"example.com/receiver/gen/receiverpb/receiverserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// pythonSeed is the rate of the demo's original server on two cores. It was written in
// Python and stored nothing.
const pythonSeed = rate(3500)

// service is the demo's service.
type service struct {
	receiverpb.UnimplementedReceiverServer
	store func(context.Context, *receiverpb.Event) error
}

func (s *service) Receive(ctx context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {
	if err := s.store(ctx, event); err != nil {
		return nil, err
	}
	return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
}

// storeNothing is what a service does without a log.
func storeNothing(context.Context, *receiverpb.Event) error { return nil }

// storeIn returns what a service does with a log.
func storeIn(log *receiverevents.Log) func(context.Context, *receiverpb.Event) error {
	return func(ctx context.Context, event *receiverpb.Event) error {
		_, err := log.AppendEvent(ctx, event)
		return err
	}
}

// rpcs compares the demo's unary RPC that stores its event with one that does not, and with
// one that stores it in a bare file. Client and server are both in this process, and are
// connected by TCP.
func (b *bench) rpcs(ctx context.Context) error {
	b.row("callers", "RPC with the log", "a commit", "without", "×", "with a bare file", "×", "to the seed's 3.5k/s")
	for _, callers := range []int{1, 64, 512} {
		without, err := b.rpc(ctx, callers, storeNothing)
		if err != nil {
			return err
		}
		with, batch, err := b.rpcWithLog(ctx, callers)
		if err != nil {
			return err
		}
		bare, err := b.rpcWithBareFile(ctx, callers)
		if err != nil {
			return err
		}
		goals := map[int][2]float64{64: {0.75, 7}}[callers]
		b.row(callers, with, fmt.Sprintf("%.0f events", batch), without, with.to(without, goals[0]), bare, with.to(bare, 1), with.to(pythonSeed, goals[1]))
	}
	return nil
}

// rpcWithLog returns the rate of the RPC that stores its event in a log, and how many
// events a commit has on average.
func (b *bench) rpcWithLog(ctx context.Context, callers int) (perSecond rate, batch float64, err error) {
	err = inFolder(func(dir string) error {
		path := filepath.Join(dir, "events.db")
		events, err := receiverevents.Open(ctx, "sqlite:"+path)
		if err != nil {
			return err
		}
		perSecond, err = b.rpc(ctx, callers, storeIn(events))
		if err := errors.Join(err, events.Close()); err != nil {
			return err
		}
		batch, err = perCommit(path)
		return err
	})
	return perSecond, batch, err
}

// rpcWithBareFile returns the rate of the RPC that writes its event to the end of a file,
// which is synced for all that wait together.
func (b *bench) rpcWithBareFile(ctx context.Context, callers int) (perSecond rate, err error) {
	err = inFolder(func(dir string) error {
		file, err := openBareFile(filepath.Join(dir, "events"))
		if err != nil {
			return err
		}
		perSecond, err = b.rpc(ctx, callers, func(_ context.Context, event *receiverpb.Event) error { return file.append(event) })
		return errors.Join(err, file.close())
	})
	return perSecond, err
}

func (b *bench) rpc(ctx context.Context, callers int, store func(context.Context, *receiverpb.Event) error) (perSecond rate, err error) {
	details, err := structpb.NewStruct(map[string]any{"idfa": "idfa1", "amount": 123})
	if err != nil {
		return 0, err
	}
	return b.rpcOf(ctx, callers, store, &receiverpb.Event{Appid: "demo", Xwhen: 123, Xwho: "jerry", Xwhat: "install", Xcontext: details})
}

// rpcOf returns how many times in a second callers send a message.
func (b *bench) rpcOf(ctx context.Context, callers int, store func(context.Context, *receiverpb.Event) error, message *receiverpb.Event) (perSecond rate, err error) {
	config := server.Defaults("bench")
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError
	generated := receiverserver.Receiver(&service{store: store})
	running, err := server.Listen(config, server.Service{Desc: generated.Desc, Impl: generated.Impl})
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(ctx) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	client, err := receiverclient.Dial(ctx, running.Addr())
	if err != nil {
		return 0, err
	}
	defer client.Close()
	receiver := client.Receiver()
	return b.callers(ctx, callers, func(ctx context.Context) error {
		_, err := receiver.Receive(ctx, message)
		return err
	})
}
