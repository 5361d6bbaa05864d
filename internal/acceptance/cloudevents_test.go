package acceptance

import (
	"os"
	"path/filepath"
	"testing"
)

// TestACloudEventIsStoredOnce generates a service that takes events as CloudEvents
// declares them, and runs in it a test that sends one of them several times.
func TestACloudEventIsStoredOnce(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "go", "mod", "init", "example.com/intake")
	for name, to := range map[string]string{"cloudevents.proto": "", "intake.proto": "", "once_test.go": "internal/intake/v1/intake"} {
		text, err := os.ReadFile(filepath.Join("testdata", "cloudevents", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, to), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, to, name), string(text))
	}
	run(t, dir, "protoc-gen-receiver", "generate", "cloudevents.proto", "intake.proto")
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "test", "./internal/intake/...")
}
