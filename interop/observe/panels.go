package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// panels makes everything happen that a dashboard shows, and prints what its panels have.
func panels(ctx context.Context, m module, dir string, inNATS bool, to io.Writer) (err error) {
	board, err := readDashboard(m.deployed("dashboard.json"))
	if err != nil {
		return err
	}
	s, err := set(ctx, m, dir, fault{
		nats: inNATS, tls: true, how: start{flags: []string{"--max-batch", "100"}, environment: []string{"GOMEMLIMIT=2GiB"}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.strike()) }()
	if err := s.scraper.await(ctx, "up"); err != nil {
		return err
	}
	following, leave := context.WithCancel(ctx)
	defer leave()
	go func() { _ = s.caller.follow(following) }()
	calling, hangUp := context.WithTimeout(ctx, 5*time.Second)
	defer hangUp()
	err = each(calling, 100*time.Millisecond, s.caller.usual, s.caller.unusual, s.tooMuch, s.wrongCertificate)
	if err != nil {
		return err
	}
	// What happened last is scraped.
	time.Sleep(2 * s.scraper.clock.takes(s.scraper.interval))
	all, err := s.scraper.show(ctx, board, s.scraper.clock.now().Sub(s.scraper.clock.start))
	if err != nil {
		return err
	}
	table := newTable(to)
	fmt.Fprintf(table, "\npanel\tseries\tnot always 0\n")
	var errs []error
	for _, one := range all {
		fmt.Fprintf(table, "%s\t%d\t%d\n", one.panel, one.series, one.live)
		if len(one.zero) > 0 && len(one.zero) < 10 {
			fmt.Fprintf(table, "  always 0:\t\t\t%s\n", strings.Join(one.zero, " "))
		}
		if one.err != nil {
			errs = append(errs, fmt.Errorf("panel %q: %s: %w", one.panel, one.query, one.err))
		}
	}
	problems, err := s.server.lint()
	for _, problem := range problems {
		errs = append(errs, fmt.Errorf("/metrics: %s", problem))
	}
	return errors.Join(append(errs, err, table.Flush())...)
}

// tooMuch sends a batch that is longer than the server takes.
func (s *stage) tooMuch(ctx context.Context) error {
	return want("a long batch", s.caller.call(ctx, "PublishBatch", long()), codes.InvalidArgument, codes.ResourceExhausted)
}

// wrongCertificate puts a file in the place of the certificate that is none.
func (s *stage) wrongCertificate(context.Context) error { return replace(s.dir, certFile, nil) }
