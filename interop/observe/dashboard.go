package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// dashboard is what is read of a dashboard of Grafana.
type dashboard struct {
	Panels      []panel
	Templating  struct{ List []variable }
	Annotations struct {
		List []struct{ Name, Expr string }
	}
}

type panel struct {
	Title, Type string
	Targets     []target
	Panels      []panel // of a row
}

type target struct {
	Expr, LegendFormat string
	Instant            bool
	Hide               bool
}

// variable is what a viewer chooses.
type variable struct {
	Name, Type, Regex, AllValue string
	Query                       json.RawMessage // a text, or an object with one
	IncludeAll                  bool
}

func readDashboard(path string) (d dashboard, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// all returns the panels that show something, also those in rows.
func (d dashboard) all() (all []panel) {
	var add func([]panel)
	add = func(panels []panel) {
		for _, p := range panels {
			if p.Type != "row" && p.Type != "text" {
				all = append(all, p)
			}
			add(p.Panels)
		}
	}
	add(d.Panels)
	return all
}

// shown is what came of a query of a panel.
type shown struct {
	panel, query string
	found
	err error
}

// found is how many series a query has, how many of them are not always 0, and the labels
// of the others.
type found struct {
	series, live int
	zero         []string
}

// show runs all queries of a dashboard over a span of time until now, as Grafana does,
// and returns what each has. A query without data has an error.
func (s *scraper) show(ctx context.Context, d dashboard, span time.Duration) ([]shown, error) {
	values, err := s.variables(ctx, d.Templating.List, span)
	if err != nil {
		return nil, err
	}
	var all []shown
	ask := func(title string, t target) {
		out := shown{panel: title, query: filledIn(t.Expr, values)}
		out.found, out.err = s.ask(ctx, out.query, t, span)
		all = append(all, out)
	}
	for _, p := range d.all() {
		if len(p.Targets) == 0 {
			all = append(all, shown{panel: p.Title, err: fmt.Errorf("the panel has no query")})
		}
		for _, t := range p.Targets {
			ask(p.Title, t)
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			ask("annotation "+a.Name, target{Expr: a.Expr})
		}
	}
	return all, nil
}

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// ask runs a query. Its series must have the labels that the legend names, and one must
// not always be 0.
func (s *scraper) ask(ctx context.Context, expr string, t target, span time.Duration) (got found, err error) {
	end := s.clock.now()
	begin, step := end.Add(-span), s.interval
	if t.Instant {
		begin = end
	}
	query, err := s.engine.NewRangeQuery(ctx, s.db, nil, expr, begin, end, step)
	if err != nil {
		return got, err
	}
	defer query.Close()
	result := query.Exec(ctx)
	matrix, err := result.Matrix()
	if err != nil {
		return got, err
	}
	for _, series := range matrix {
		data, live := dataOf(series)
		if !data {
			continue
		}
		got.series++
		if live {
			got.live++
		} else {
			got.zero = append(got.zero, series.Metric.String())
		}
		for _, label := range legendLabel.FindAllStringSubmatch(t.LegendFormat, -1) {
			if !series.Metric.Has(label[1]) {
				return got, fmt.Errorf("the legend names the label %s, which %s has not", label[1], series.Metric)
			}
		}
	}
	switch {
	case got.series == 0:
		return got, fmt.Errorf("no data")
	case got.live == 0:
		return got, fmt.Errorf("always 0")
	}
	return got, nil
}

// dataOf reports whether a series has data, and whether any of that is not 0.
func dataOf(series promql.Series) (data, live bool) {
	for _, point := range series.Floats {
		data = data || !math.IsNaN(point.F)
		live = live || !math.IsNaN(point.F) && point.F != 0
	}
	for _, point := range series.Histograms {
		data, live = true, live || point.H.Count != 0
	}
	return data, live
}

var labelValues = regexp.MustCompile(`^label_values\((?:(.+),)?\s*(\w+)\s*\)$`)

// variables returns the values of a dashboard's variables, by their names: of those that
// a viewer chooses, all.
func (s *scraper) variables(ctx context.Context, declared []variable, span time.Duration) (map[string]string, error) {
	values := map[string]string{
		"__rate_interval": (4 * s.interval).String(), "__interval": s.interval.String(), "__range": span.String(),
		"__interval_ms": fmt.Sprint(s.interval.Milliseconds()), "__range_s": fmt.Sprint(int(span.Seconds())),
	}
	for _, v := range declared {
		var query string
		var within struct{ Query string }
		if json.Unmarshal(v.Query, &query) != nil && json.Unmarshal(v.Query, &within) == nil {
			query = within.Query
		}
		switch v.Type {
		case "datasource":
			continue
		case "interval", "custom", "constant", "textbox":
			values[v.Name], _, _ = strings.Cut(query, ",")
			continue
		case "query":
		default:
			return nil, fmt.Errorf("variable %s has the type %q, which this program does not know", v.Name, v.Type)
		}
		asked := labelValues.FindStringSubmatch(filledIn(query, values))
		if asked == nil {
			return nil, fmt.Errorf("variable %s: this program does not know the query %q", v.Name, query)
		}
		found, err := s.labelValues(ctx, asked[2], strings.TrimSpace(asked[1]))
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("variable %s: %s has no values", v.Name, query)
		}
		if values[v.Name] = v.AllValue; v.AllValue == "" {
			quoted := make([]string, len(found))
			for i, value := range found {
				quoted[i] = strings.ReplaceAll(regexp.QuoteMeta(value), `\`, `\\`)
			}
			values[v.Name] = cmp.Or(strings.Join(quoted, "|"), ".*")
		}
		if !v.IncludeAll {
			values[v.Name] = found[0]
		}
	}
	return values, nil
}

// filledIn puts values into a text where it names variables.
func filledIn(text string, values map[string]string) string {
	// A name may begin as another does.
	names := slices.SortedFunc(maps.Keys(values), func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		for _, form := range []string{"$" + name, "${" + name + "}", "${" + name + ":regex}", "[[" + name + "]]"} {
			text = strings.ReplaceAll(text, form, values[name])
		}
	}
	return text
}
