package main

import (
	"slices"
	"testing"
	"time"
)

// TestServerIsObserved is a sample of what the command does.
func TestServerIsObserved(t *testing.T) {
	dir := t.TempDir()
	m, err := buildModule(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := alertNames(m.deployed("alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if missing := without(alerts); len(missing) > 0 || len(alerts) == 0 {
		t.Errorf("there are no faults for %v of the alerts %v", missing, alerts)
	}
	t.Run("dashboard", func(t *testing.T) {
		t.Parallel()
		if err := panels(t.Context(), m, dir, false, t.Output()); err != nil {
			t.Error(err)
		}
	})
	t.Run("load", func(t *testing.T) {
		t.Parallel()
		if err := soak(t.Context(), m, dir, 9*time.Second, 2000, t.Output()); err != nil {
			t.Error(err)
		}
	})
	tried := []string{"DeadLetters"}
	if !testing.Short() {
		tried = append(tried, "ServerDown", "CertificateEnds")
	}
	for _, alert := range tried {
		t.Run(alert, func(t *testing.T) {
			t.Parallel()
			at := slices.IndexFunc(faults, func(f fault) bool { return f.alert == alert })
			if at < 0 {
				t.Fatal("there is no fault for this alert")
			}
			out, err := faults[at].try(t.Context(), m, dir)
			if err != nil {
				t.Error(err)
			}
			t.Log(out.text)
		})
	}
}
