// Command observe runs a generated server and observes it by Prometheus's own packages:
// its scrape loop, storage, query engine and alert rules, configured by the files that
// were generated beside the server.
//
// It sends events for a time and prints memory and series, which must not grow. It runs
// each query of the dashboard, which must have data. It makes the fault that each alert is
// for: before it no alert may fire, and then that one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "observe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("observe", flag.ContinueOnError)
	parts := flags.String("parts", "panels,alerts,soak", "`what` to do, with commas between")
	alerts := flags.String("alerts", "", "`expression` for the names of the alerts to try; all without")
	lasts := flags.Duration("lasts", time.Minute, "`how long` to send events")
	rate := flags.Int("rate", 10_000, "`events` a second")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile("^(" + *alerts + ")")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "observe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	begin := time.Now()
	m, err := buildModule(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d cores; generated and built in %s\n", runtime.Version(), runtime.NumCPU(), time.Since(begin).Round(time.Second))
	has := strings.Split(*parts, ",")
	if slices.Contains(has, "panels") {
		for _, inNATS := range []bool{false, true} {
			err = errors.Join(err, panels(ctx, m, dir, inNATS, os.Stdout))
		}
	}
	if slices.Contains(has, "alerts") {
		err = errors.Join(err, fires(ctx, m, dir, chosen, os.Stdout))
	}
	if slices.Contains(has, "soak") {
		fmt.Printf("\n%d events a second for %s, scraped each second\n\n", *rate, *lasts)
		err = errors.Join(err, soak(ctx, m, dir, *lasts, *rate, os.Stdout))
	}
	return err
}

// newTable returns a table whose rows can be printed one after the other.
func newTable(to io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(to, 14, 0, 2, ' ', 0) }

// fires tries all faults of chosen alerts, and prints what fired.
func fires(ctx context.Context, m module, dir string, chosen *regexp.Regexp, to io.Writer) error {
	alerts, err := alertNames(m.deployed("alerts.yaml"))
	if err != nil {
		return err
	}
	row := func(alert, fault, after, took, others string) {
		fmt.Fprintf(to, "%-20s  %-52s  %-15s  %-5s  %s\n", alert, fault, after, took, others)
	}
	row("\nalert", " fault", " fires after", " in", " others that fire, too")
	var errs []error
	for _, alert := range without(alerts) {
		errs = append(errs, fmt.Errorf("there is no fault here for the alert %s", alert))
	}
	for _, f := range faults {
		if !chosen.MatchString(f.alert) || ctx.Err() != nil {
			continue
		}
		out, err := f.try(ctx, m, dir)
		after := "not as it should"
		if err == nil {
			after = out.after.Round(time.Second).String()
		}
		row(f.alert, f.what, after, fmt.Sprintf("%.0f s", out.took.Seconds()), strings.Join(out.others, ", "))
		if out.text != "" {
			fmt.Fprintf(to, "    %s\n", out.text)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
