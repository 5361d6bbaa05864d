// Command shop is both ends: it sends orders of one database, and bills them in another.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"

	ordersv1 "example.com/orders/gen/orders/v1"
	"example.com/orders/gen/orders/v1/ordersv1client"
	"example.com/orders/gen/orders/v1/ordersv1events"
	"example.com/orders/internal/receiver-runtime/eventlog"
	"example.com/orders/internal/receiver-runtime/eventlog/into"
	"example.com/orders/internal/receiver-runtime/outbox"
)

func main() {
	go func() { // the parent has the other end
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	fmt.Fprintln(os.Stderr, "shop:", run(context.Background(), os.Args[1:]))
	os.Exit(1)
}

// database is where one of the ends has its rows.
type database struct {
	*sql.DB
	bind string // how its driver has an argument of a statement
}

func open(url string) (database, error) {
	driver, source, _ := strings.Cut(url, " ")
	db, err := sql.Open(driver, source)
	if driver == "pgx" {
		return database{db, "$1"}, err
	}
	return database{db, "?"}, err
}

// run does what the first argument says, with the database of the second, and with the
// address of the service or the URL of the log.
func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("want shop sell|relay|bill DATABASE SERVICE|LOG")
	}
	db, err := open(args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "sell":
		return sell(ctx, db, args[2])
	case "relay":
		return relay(ctx, db, args[2])
	case "bill":
		return bill(ctx, db, args[2])
	}
	return fmt.Errorf("there is no shop %s", args[0])
}

// sell takes orders, and relays them.
func sell(ctx context.Context, db database, service string) error {
	box, err := outbox.Open(ctx, db.DB)
	if err != nil {
		return err
	}
	ended := make(chan error)
	go func() { ended <- relay(ctx, db, service) }()
	for customer := range 4 {
		go func() {
			for i := 0; ; i++ {
				if err := order(ctx, db, box, fmt.Sprintf("%d-%d-%d", os.Getpid(), customer, i), fmt.Sprint("customer", customer)); err != nil {
					ended <- err
				}
				time.Sleep(5 * time.Millisecond) // so that the others keep up
			}
		}()
	}
	return <-ended
}

// order writes an order and its event together.
func order(ctx context.Context, db database, box *outbox.Outbox, id, customer string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "INSERT INTO orders (id) VALUES ("+db.bind+")", id); err != nil {
		return err
	}
	event := &ordersv1.PublishRequest{Event: &ordersv1.Event{Source: "shop", EventType: "placed", Subject: id}}
	if _, err := box.Append(ctx, tx, event, outbox.Subject(customer)); err != nil {
		return err
	}
	return tx.Commit()
}

// relay sends what is in the outbox, and prints a line for each acknowledgement.
func relay(ctx context.Context, db database, service string) error {
	box, err := outbox.Open(ctx, db.DB)
	if err != nil {
		return err
	}
	client, err := dial(ctx, service)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	return box.Relay(ctx, outbox.Send(func(ctx context.Context, event *ordersv1.PublishRequest, options ...grpc.CallOption) (*ordersv1.PublishResponse, error) {
		reply, err := client.OrdersService().Publish(ctx, event, options...)
		if err == nil {
			fmt.Println("acknowledged", reply.Position)
		}
		return reply, err
	}))
}

// dial connects to the service, once it is there.
func dial(ctx context.Context, service string) (client *ordersv1client.Client, err error) {
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
		if client, err = ordersv1client.Dial(ctx, service); err == nil {
			return client, nil
		}
	}
	return nil, err
}

// bill writes a row for each order, and prints a line for each transaction that it is
// about to commit.
func bill(ctx context.Context, db database, url string) error {
	log, err := eventlog.Open(ctx, url)
	if err != nil {
		return err
	}
	apply := func(ctx context.Context, tx *sql.Tx, events []ordersv1events.Stored[*ordersv1.Event]) error {
		for _, event := range events {
			if _, err := tx.ExecContext(ctx, "INSERT INTO bills (id) VALUES ("+db.bind+")", event.Subject); err != nil {
				return err
			}
		}
		fmt.Println("bills", len(events))
		return nil
	}
	return into.ConsumeMessages(ctx, log, db.DB, "billing", apply, ordersv1events.BatchSize(16))
}
