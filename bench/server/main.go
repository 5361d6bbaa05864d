//go:build unix

// Command server measures what the server of this repository costs beside grpc-go
// alone: the time of cores that a unary call takes, and what it allocates.
//
//	go run ./server                    all servers
//	go run ./server -explain           also grpc-go with options that the server gives it
//	go run ./server -text 20000        with requests that are 20 kB larger than the demo's
//	go run ./server -soak 10m          the heap of the server with all defaults under load
//	go run ./server -profile DIR       also writes profiles of each server there
//
// Each server is a process of its own, with the same handler: the demo's, without the
// log. The callers are in the first process, and call one server after the other for a
// moment each, forwards and backwards in turn. So what else the machine does comes to
// all of them alike.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == serveArgument {
		exit(serve(os.Args[2], os.Args[3]))
	}
	b := bench{out: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)}
	flag.IntVar(&b.rounds, "rounds", 40, "how many times each server is measured")
	flag.DurationVar(&b.span, "for", 250*time.Millisecond, "how long each time")
	flag.IntVar(&b.callers, "callers", 50, "how many callers call at once")
	flag.IntVar(&b.text, "text", 0, "how many bytes of text each request has besides the demo's event")
	explain := flag.Bool("explain", false, "measure grpc-go with options that the server gives it, too")
	soak := flag.Duration("soak", 0, "call the server with all defaults for so long instead, and print its memory")
	flag.StringVar(&b.profiles, "profile", "", "write a profile of the time and of the memory of each server into this folder")
	flag.Parse()
	ctx := context.Background()
	if *soak > 0 {
		exit(b.soak(ctx, *soak))
	}
	var measured []variant
	for _, v := range variants {
		if *explain || !v.explains {
			measured = append(measured, v)
		}
	}
	exit(b.compare(ctx, measured))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench measures, and prints a table.
type bench struct {
	rounds   int
	span     time.Duration
	callers  int
	text     int    // bytes in each request besides the demo's event
	profiles string // a folder, or "" for no profiles
	out      *tabwriter.Writer
}

// row prints cells of a table.
func (b *bench) row(cells ...any) {
	for _, cell := range cells {
		fmt.Fprintf(b.out, "%v\t", cell)
	}
	fmt.Fprintln(b.out)
}
