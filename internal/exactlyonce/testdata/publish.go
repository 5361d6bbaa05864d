// Command publish publishes events, and notes before which, and after which.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	ordersv1 "example.com/orders/gen/orders/v1"
	"example.com/orders/gen/orders/v1/ordersv1publisher"
)

func main() {
	go func() { // the parent has the other end
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

// run publishes events from a folder to an address, by the best RPC or by lanes alone, or
// sends what is left.
func run(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("want publish go|drain best|lane DIR ADDRESS")
	}
	dir, address := args[2], args[3]
	spool := filepath.Join(dir, "spool")
	var options []ordersv1publisher.Option
	if args[1] == "lane" {
		options = append(options, ordersv1publisher.By("/orders.v1.OrdersService/Publish"))
	}
	p, err := ordersv1publisher.Open(ctx, spool, address, options...)
	if err != nil {
		return err
	}
	if args[0] == "drain" {
		if err := p.Close(ctx); err != nil {
			return err
		}
		fmt.Println("drained")
		select {}
	}
	ended := make(chan error)
	for caller := range 8 {
		go func() { ended <- publish(ctx, p, dir, caller) }()
	}
	return <-ended
}

// publish publishes the events of one caller, which are numbered. Most have a subject.
func publish(ctx context.Context, p *ordersv1publisher.Publisher, dir string, caller int) error {
	name := filepath.Join(dir, fmt.Sprint("caller-", caller))
	n, err := begun(name)
	if err != nil {
		return err
	}
	notes, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	newEvent := func(n int) *ordersv1.Event {
		event := &ordersv1.Event{Source: "trial", EventType: fmt.Sprintf("%d-%d", caller, n), Subject: fmt.Sprint("caller-", caller)}
		if caller%4 == 3 {
			event.Subject = ""
		}
		if caller%2 == 1 {
			event.EventId = event.EventType
		}
		return event
	}
	for {
		if caller%3 == 2 { // many at a time, all or none
			var events []proto.Message
			begin := n + 1
			for range 20 {
				n++
				events = append(events, newEvent(n))
			}
			fmt.Fprintf(notes, "begun %d\n", n)
			if err := p.PublishAll(ctx, events...); err != nil {
				return err
			}
			fmt.Fprintf(notes, "published %d %d\n", begin, n)
		} else {
			n++
			fmt.Fprintf(notes, "begun %d\n", n)
			if _, err := p.Publish(ctx, newEvent(n)); err != nil {
				return err
			}
			fmt.Fprintf(notes, "published %d %d\n", n, n)
		}
		if n%16 == 0 && p.Stats().Sent > 0 {
			fmt.Println("sent")
		}
		for p.Stats().Pending > 2_000 {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// begun returns the last number of which an earlier process may have published an event.
func begun(name string) (n int, err error) {
	notes, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = notes.Close() }()
	for lines := bufio.NewScanner(notes); lines.Scan(); {
		if word, ok := strings.CutPrefix(lines.Text(), "begun "); ok {
			if n, err = strconv.Atoi(word); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}
