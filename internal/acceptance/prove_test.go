package acceptance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProveTellsARightServerFromAWrongOne runs the proof of the demo as users do, also with
// a handler that answers before its event is stored.
func TestProveTellsARightServerFromAWrongOne(t *testing.T) {
	const file = "internal/receiver/receive.go"
	module, err := filepath.Abs("../../examples/receiver")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(module, file))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		old, new string
		fails    bool
		want     string
	}{
		"right": {"", "", false, `(?m)^    0 of [0-9,]{3,} acknowledged events lost, 0 duplicated, 3 kills$`},
		"answers before the append": {"if _, err := s.events.AppendEvent(ctx, event); err != nil {\n\t\treturn nil, err\n\t}",
			"go s.events.AppendEvent(context.WithoutCancel(ctx), event)", true,
			`internal/receiver/receive.go:10: Receiver.receive: [0-9,]+ of [0-9,]+ acknowledged events are not in the log: .* Is one answered before its append has returned`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(string(text), test.old) {
				t.Fatalf("%s does not have %q", file, test.old)
			}
			dir := t.TempDir()
			changed, overlay := filepath.Join(dir, "receive.go"), filepath.Join(dir, "overlay.json")
			if err := os.WriteFile(changed, []byte(strings.Replace(string(text), test.old, test.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(module, file): changed}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(overlay, replaced, 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.Command("go", "test", "-overlay", overlay, "-tags", "prove", "-count=1", "-v", "-run", "Prove", "./cmd/receiver-server",
				"-prove.kills=3", "-prove.lasts=3s")
			command.Dir = module
			output, err := command.CombinedOutput()
			if !regexp.MustCompile(test.want).Match(output) || (err != nil) != test.fails {
				t.Errorf("it ends with %v, and prints\n%s\nwant %s", err, output, test.want)
			}
		})
	}
}
