//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestARestartFailsNoCall(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program and restarts it for ten seconds")
	}
	dir := t.TempDir()
	program, err := build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, scene := range []scene{
		{name: "at once"},
		{name: "delayed", delay: 300 * time.Millisecond},
		{name: "old connections", flags: []string{"--max-connection-age", "50ms"}, pause: 300 * time.Millisecond},
	} {
		t.Run(scene.name, func(t *testing.T) {
			result, err := scene.play(t.Context(), program, dir, 16, 4)
			if err != nil {
				t.Fatal(err)
			}
			if len(result.failed) > 0 {
				t.Errorf("%d of %d calls failed, the first with %v", len(result.failed), result.calls, result.failed[0])
			}
		})
	}
	t.Run("streams", func(t *testing.T) {
		_, ended, err := stopWithStreams(t.Context(), program, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range ended {
			watch := end.stream == "a watch of the health" && strings.Contains(end.err.Error(), "EOF after NOT_SERVING")
			if status.Code(end.err) != codes.Unavailable && !watch {
				t.Errorf("%s ends with %v", end.stream, end.err)
			}
		}
	})
}
