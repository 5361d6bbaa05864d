package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// bases answers for the images that a Dockerfile begins with, which no test may fetch.
// The configuration is that of the distroless image; the Go image's is not looked at.
type bases struct{ asked []string }

func (b *bases) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	b.asked = append(b.asked, ref)
	config, err := json.Marshal(ocispecs.Image{
		Platform: platform,
		RootFS:   ocispecs.RootFS{Type: "layers"},
		Config:   ocispecs.ImageConfig{User: "65532", WorkingDir: "/home/nonroot", Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
	})
	return ref, "", config, err
}

var platform = ocispecs.Platform{OS: "linux", Architecture: "amd64"}

// convert converts a Dockerfile as BuildKit does before it builds. What its linter warns
// of is an error.
func convert(t *testing.T, text []byte) (image *dockerspec.DockerOCIImage, asked []string) {
	t.Helper()
	var from bases
	result, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, dockerfile2llb.ConvertOpt{
		MetaResolver: &from, TargetPlatform: &platform, AllStages: true,
		Warn: func(rule, _, _, text string, at []parser.Range) { t.Errorf("%v: %s: %s", at, rule, text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := result.State.Marshal(context.Background(), llb.LinuxAmd64); err != nil {
		t.Fatal(err)
	}
	slices.Sort(from.asked)
	return result.Image, slices.Compact(from.asked)
}

// TestDockerfile has BuildKit convert and lint the Dockerfile.
func TestDockerfile(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		image, asked := convert(t, read(t, dir, "Dockerfile"))
		if want := []string{"docker.io/library/golang:1.26", "gcr.io/distroless/static:nonroot"}; !slices.Equal(asked, want) {
			t.Errorf("it begins with %q, want %q", asked, want)
		}
		if image.Config.User != "65532:65532" || !slices.Equal(image.Config.Entrypoint, []string{"/bank-server"}) || len(image.Config.Cmd) > 0 {
			t.Errorf("the image runs %q %q as %s", image.Config.Entrypoint, image.Config.Cmd, image.Config.User)
		}
	})
}

// TestDockerignore checks what of a module the builder gets.
func TestDockerignore(t *testing.T) {
	at := filepath.Join(module(t, "events"), "Dockerfile.dockerignore")
	patterns, err := ignorefile.ReadAll(bytes.NewReader(read(t, at)))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"go.mod": false, "go.sum": false, "cmd/bank-server/main.go": false, "internal/receiver-runtime/server/drain.go": false, "internal/data/data.go": false,
		".git/config": true, "cmd/bank-server/main_test.go": true, "data/bank.db": true, "data/bank.db-wal": true, "certificates/server.key": true, "deploy/bank-server/Dockerfile": true,
	} {
		if got, err := ignored.MatchesOrParentMatches(name); err != nil || got != want {
			t.Errorf("%s is ignored: %t (%v), want %t", name, got, err, want)
		}
	}
}
