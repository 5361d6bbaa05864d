package main

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// lint checks the metrics of a server as promtool check metrics does, and returns what
// is wrong with their names, units and help.
func (s *server) lint() (problems []string, err error) {
	metrics, err := s.page("/metrics")
	if err != nil {
		return nil, err
	}
	found, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil {
		return nil, err
	}
	for _, problem := range found {
		problems = append(problems, fmt.Sprintf("%s: %s", problem.Metric, problem.Text))
	}
	return problems, nil
}
