package deploy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project has Compose load the file, check it by its schema, and resolve its paths.
func project(t *testing.T, dir string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")}, cli.WithResolvedPaths(true), cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// TestCompose checks that Compose takes the file. All that it mounts must be there, and only this machine may reach its ports.
func TestCompose(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		project := project(t, dir)
		nodes := 0
		for _, service := range project.Services {
			for _, port := range service.Ports {
				if port.HostIP != "127.0.0.1" {
					t.Errorf("%s: port %s can be reached at %q", service.Name, port.Published, port.HostIP)
				}
			}
			for _, volume := range service.Volumes {
				if info, err := os.Stat(volume.Source); volume.Type == "bind" && (err != nil || !info.Mode().IsRegular()) {
					t.Errorf("%s mounts %s, which is not a file (%v)", service.Name, volume.Source, err)
				}
			}
			if service.Image == "nats:2.15-alpine" {
				nodes++
				if want := []string{"--config", "/etc/nats/nats.conf", "--name", service.Name}; !slices.Equal(service.Command, want) {
					t.Errorf("%s runs %q, want %q", service.Name, service.Command, want)
				}
			}
		}
		server := project.Services["bank-server"]
		if want := exists(dir, "nats.conf"); want != (nodes == 3) || want != (len(server.DependsOn) == 3) {
			t.Errorf("there are %d nodes of NATS, and the server waits for %d", nodes, len(server.DependsOn))
		}
		if !server.ReadOnly || !exists(server.Build.Context, server.Build.Dockerfile) {
			t.Errorf("the server's root can be written, or there is no %s in %s", server.Build.Dockerfile, server.Build.Context)
		}
	})
}
