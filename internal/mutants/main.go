// Command mutants measures what generated tests are worth. It plants mistakes, one at
// a time, into a generated service, a program, a client, or the runtime, and runs the
// tests that were generated with them. It prints which test caught each mistake, and
// with which message:
//
//	go run ./internal/mutants
//	go run ./internal/mutants -run '^B|^C02$'
//
// It fails if fewer than 95 % of the mistakes are caught, if one survives for no reason
// that is known, or if one is caught that had such a reason.
//
// Tests must also be silent about what is right:
//
//	go run ./internal/mutants quiet -runs 500
//	go run ./internal/mutants fill
//
// quiet runs the same tests without a mistake, many times, under the race detector and
// with all cores busy. fill writes a small implementation of every stub in testdata and
// runs the tests beside it.
//
// Nothing in the repository is changed: the Go command gets the changed files as an
// overlay.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "quiet":
			return quiet(ctx, args[1:])
		case "fill":
			return fill(ctx, args[1:])
		}
	}
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	chosen := flags.String("run", "", "run the mutants whose id, mistake or group matches this regular expression")
	settings := runner{}
	flags.IntVar(&settings.parallel, "parallel", runtime.NumCPU(), "how many mutants are tested at once")
	flags.DurationVar(&settings.timeout, "timeout", 90*time.Second, "how long the tests of one package may take")
	flags.BoolVar(&settings.buildOnly, "n", false, "only build the packages that are changed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*chosen)
	if err != nil {
		return err
	}
	if settings.root, err = repository(ctx); err != nil {
		return err
	}
	picked := choose(groups, pattern)
	if len(picked) == 0 {
		return fmt.Errorf("no mutant matches %q", *chosen)
	}
	if !settings.buildOnly {
		if err := settings.rightOnes(ctx, picked); err != nil {
			return err
		}
	}
	results, err := settings.runAll(ctx, picked)
	if err != nil || settings.buildOnly {
		return err
	}
	return show(os.Stdout, picked, results)
}

// choose returns the groups with the mutants whose id, mistake or group matches.
func choose(all []group, pattern *regexp.Regexp) (chosen []group) {
	for _, g := range all {
		var matching []mutant
		for _, m := range g.mutants {
			if pattern.MatchString(m.id) || pattern.MatchString(m.about) || pattern.MatchString(g.name) {
				matching = append(matching, m)
			}
		}
		if len(matching) > 0 {
			chosen = append(chosen, group{g.name, matching})
		}
	}
	return chosen
}
