package servertest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// fails checks that a test fails in a process of its own, with a message. There it runs
// the rest of the test, with short timeouts.
func fails(t *testing.T, want string, test func(*testing.T)) {
	t.Helper()
	const variable = "SERVERTEST_FAILS"
	if os.Getenv(variable) != "" {
		short(t, &callTimeout, 10*time.Second)
		short(t, &endTime, time.Second)
		test(t)
		return
	}
	t.Parallel()
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern)
	child.Env = append(os.Environ(), variable+"=1")
	out, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("the test ends with %v, want it to fail with %q:\n%s", err, want, out)
	}
}
