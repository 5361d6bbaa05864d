package deploy

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// TestAlerts has Prometheus read the rules as promtool does. Each must say what is the
// matter, what to do, and how severe it is.
func TestAlerts(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		if !exists(dir, "alerts.yaml") {
			return
		}
		groups, errs := rulefmt.ParseFile(filepath.Join(dir, "alerts.yaml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, rule := range groups.Groups[0].Rules {
			switch {
			case rule.For == 0 && rule.Alert != "":
				t.Errorf("%s: it fires at once", rule.Alert)
			case rule.Labels["severity"] != "warning" && rule.Labels["severity"] != "critical":
				t.Errorf("%s: the severity is %q", rule.Alert, rule.Labels["severity"])
			case rule.Annotations["summary"] == "" || strings.Count(rule.Annotations["description"], ". ") == 0:
				t.Errorf("%s: it does not say what is the matter, and what to do", rule.Alert)
			case !strings.Contains(rule.Expr, `{job="bank-server"`):
				t.Errorf("%s: it asks for metrics of others, too: %s", rule.Alert, rule.Expr)
			}
		}
	})
}

// TestPrometheusConfiguration has Prometheus read its configuration.
func TestPrometheusConfiguration(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		if !exists(dir, "prometheus.yaml") {
			return
		}
		loaded, err := config.LoadFile(filepath.Join(dir, "prometheus.yaml"), false, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if rules := loaded.RuleFiles; len(rules) != 1 || !exists(rules[0]) {
			t.Errorf("the rules are in %q", rules)
		}
		scrape := loaded.ScrapeConfigs[0]
		if scrape.JobName != "bank-server" || scrape.ScrapeNativeHistograms == nil || !*scrape.ScrapeNativeHistograms {
			t.Errorf("it scrapes the job %s, native histograms: %v", scrape.JobName, scrape.ScrapeNativeHistograms)
		}
	})
}

// TestDashboard has Prometheus parse each query, and checks that no panel is without.
func TestDashboard(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		if !exists(dir, "dashboard.json") {
			return
		}
		var dashboard struct {
			Panels []struct {
				ID          int
				Type, Title string
				Targets     []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(read(t, dir, "dashboard.json"), &dashboard); err != nil {
			t.Fatal(err)
		}
		variables := strings.NewReplacer("$job", "bank-server", "$__rate_interval", "1m")
		ids := map[int]bool{}
		for _, panel := range dashboard.Panels {
			if ids[panel.ID] {
				t.Errorf("%s has the id of another panel", panel.Title)
			}
			ids[panel.ID] = true
			if (panel.Type == "row") != (len(panel.Targets) == 0) {
				t.Errorf("%s has %d queries", panel.Title, len(panel.Targets))
			}
			for _, target := range panel.Targets {
				if _, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(target.Expr)); err != nil {
					t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
				}
			}
		}
		if exists(dir, "kubernetes/deployment.yaml") == strings.Contains(string(read(t, dir, "dashboard.json")), "eventlog_") {
			t.Error("the dashboard shows a log that there is not, or not the one that there is")
		}
	})
}
