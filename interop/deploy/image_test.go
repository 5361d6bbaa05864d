package deploy

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/receiver/gen/receiverpb"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestImage builds the image of the demo's server without a container engine, as its
// Dockerfile says: the RUN lines are run in the module, what is copied becomes a layer,
// and BuildKit makes the configuration. The base image can't be fetched: an empty one
// takes its place, with the users and certificates that distroless has. Then the server
// runs from the image's files, on a root that is read-only, as the user of the image.
func TestImage(t *testing.T) {
	if err := exec.Command("unshare", "--mount", "true").Run(); os.Getuid() != 0 || err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this needs root, and leave to mount: %v", err)
		}
		t.Skipf("this needs root, and leave to mount: %v", err)
	}
	dir := demo(t)
	text := read(t, dir, "Dockerfile")
	config, _ := convert(t, text)
	image := build(t, text, config)
	at := t.TempDir()
	index, err := layout.Write(at, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := index.AppendImage(image); err != nil {
		t.Fatal(err)
	}
	root := unpack(t, at)
	t.Run("it is static", func(t *testing.T) { isStatic(t, filepath.Join(root, "receiver-server")) })
	t.Run("it has the flags", func(t *testing.T) { knowsItsFlags(t, dir, filepath.Join(root, "receiver-server")) })
	t.Run("systemd allows what it does", func(t *testing.T) { allowsItsCalls(t, dir, filepath.Join(root, "receiver-server")) })
	t.Run("it serves", func(t *testing.T) { serves(t, root, config) })
	t.Run("it writes only its data", func(t *testing.T) {
		server := contained(t, root, t.TempDir(), config, "--insecure", "--events=sqlite:/elsewhere/receiver.db")
		if output, err := server.CombinedOutput(); err == nil || !strings.Contains(string(output), "read-only file system") {
			t.Errorf("with its log elsewhere it ends with %v\n%s", err, output)
		}
	})
	t.Run("it is not open by accident", func(t *testing.T) {
		server := contained(t, root, t.TempDir(), config)
		if output, err := server.CombinedOutput(); err == nil || !strings.Contains(string(output), "--insecure") {
			t.Errorf("without a certificate it ends with %v\n%s", err, output)
		}
	})
}

const receiver = "../../examples/receiver"

// demo returns a folder with what deploys the demo.
func demo(t *testing.T) (dir string) {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"go.mod", "receiver.proto"} {
		write(t, filepath.Join(root, name), string(read(t, receiver, name)))
	}
	generate(t, root, "receiver.proto", "events=auto")
	return filepath.Join(root, "deploy", "receiver-server")
}

// build follows a Dockerfile of two stages.
func build(t *testing.T, text []byte, config *dockerspec.DockerOCIImage) v1.Image {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil || len(stages) != 2 {
		t.Fatalf("it has %d stages (%v)", len(stages), err)
	}
	out := t.TempDir()
	run(t, stages[0].Commands, out)
	layers := []v1.Layer{layer(t, base(t))}
	for _, command := range stages[1].Commands {
		if copied, ok := command.(*instructions.CopyCommand); ok {
			layers = append(layers, layer(t, copy(t, copied, out)))
		}
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = config.OS, config.Architecture
	file.Config = v1.Config{User: config.Config.User, Env: config.Config.Env, Entrypoint: config.Config.Entrypoint, Volumes: config.Config.Volumes, ExposedPorts: config.Config.ExposedPorts}
	if image, err = mutate.ConfigFile(image, file); err != nil {
		t.Fatal(err)
	}
	return image
}

// run runs the RUN lines of a stage in the demo's folder, with out in the place of /out.
func run(t *testing.T, commands []instructions.Command, out string) {
	t.Helper()
	env := append(os.Environ(), "TARGETOS=linux", "TARGETARCH=amd64")
	for _, command := range commands {
		switch command := command.(type) {
		case *instructions.EnvCommand:
			for _, pair := range command.Env {
				env = append(env, pair.String())
			}
		case *instructions.RunCommand:
			shell := exec.Command("sh", "-c", strings.ReplaceAll(strings.Join(command.CmdLine, " "), "/out/", out+"/"))
			shell.Dir, shell.Env = receiver, env
			if output, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", shell, err, output)
			}
		}
	}
}

// base returns what is in the image in place of the distroless one.
func base(t *testing.T) (files []file) {
	for _, dir := range []string{"data", "dev", "etc", "etc/ssl", "etc/ssl/certs", "proc", "sys"} {
		files = append(files, file{name: dir, mode: fs.ModeDir | 0o755})
	}
	return append(files, file{name: "tmp", mode: fs.ModeDir | 0o777},
		file{name: "etc/passwd", mode: 0o644, text: []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		file{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, text: read(t, "/etc/ssl/certs/ca-certificates.crt")})
}

// file is a file of an image.
type file struct {
	name  string
	mode  fs.FileMode
	owner int
	text  []byte
}

// copy returns what an instruction copies from the stage that builds.
func copy(t *testing.T, command *instructions.CopyCommand, out string) []file {
	t.Helper()
	if command.From != "build" || len(command.SourcePaths) != 1 {
		t.Fatalf("it copies %q from %s", command.SourcePaths, command.From)
	}
	at := filepath.Join(out, strings.TrimPrefix(command.SourcePaths[0], "/out/"))
	info, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	copied := file{name: strings.TrimPrefix(command.DestPath, "/"), mode: info.Mode()}
	if user, _, ok := strings.Cut(command.Chown, ":"); ok {
		copied.owner = number(t, user)
	}
	if !info.IsDir() {
		copied.text = read(t, at)
	}
	return []file{copied}
}

// layer returns a layer with files.
func layer(t *testing.T, files []file) v1.Layer {
	t.Helper()
	var packed bytes.Buffer
	to := tar.NewWriter(&packed)
	for _, one := range files {
		header := &tar.Header{Name: one.name, Mode: int64(one.mode.Perm()), Uid: one.owner, Gid: one.owner, Size: int64(len(one.text)), Typeflag: tar.TypeReg}
		if one.mode.IsDir() {
			header.Typeflag = tar.TypeDir
		}
		if err := to.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(one.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	packedLayer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return packedLayer
}

// unpack reads the image of an OCI layout, and returns a folder with its files.
func unpack(t *testing.T, at string) (root string) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(at)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil || len(list.Manifests) != 1 {
		t.Fatal(err, list)
	}
	image, err := index.Image(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	packed := mutate.Extract(image)
	defer packed.Close()
	var dirs []*tar.Header // whose modes are set last
	for from := tar.NewReader(packed); ; {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(root, path.Clean("/"+header.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(to, 0o755)
			dirs = append(dirs, header)
		} else {
			var text []byte
			if text, err = io.ReadAll(from); err == nil {
				err = os.WriteFile(to, text, header.FileInfo().Mode().Perm())
			}
		}
		if err = errors.Join(err, os.Chown(to, header.Uid, header.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	for _, header := range dirs {
		if err := os.Chmod(filepath.Join(root, header.Name), header.FileInfo().Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// isStatic checks that a program needs no other file to run.
func isStatic(t *testing.T, at string) {
	program, err := elf.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("it needs a dynamic linker")
	}
}

// contained returns the command that runs an image's entrypoint, with its files as the
// root, which is read-only, except for /data.
func contained(t *testing.T, root, data string, config *dockerspec.DockerOCIImage, args ...string) *exec.Cmd {
	t.Helper()
	user, _, _ := strings.Cut(config.Config.User, ":")
	owner := number(t, user)
	if err := os.Chown(data, owner, owner); err != nil {
		t.Fatal(err)
	}
	const script = `set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount --bind "$2" "$1/data"
mount -t proc proc "$1/proc"
user=$3 root=$1
shift 3
exec chroot --userspec="$user" "$root" "$@"`
	command := exec.Command("unshare", slices.Concat([]string{"--mount", "sh", "-c", script, "sh", root, data, config.Config.User}, config.Config.Entrypoint, args)...)
	command.Env = config.Config.Env
	return command
}

// knowsItsFlags checks that the server takes the flags of all files that run it.
func knowsItsFlags(t *testing.T, dir, program string) {
	runs := map[string][]string{"compose.yaml": project(t, dir).Services["receiver-server"].Command}
	for _, name := range []string{"kubernetes/sqlite.yaml", "kubernetes/nats.yaml"} {
		runs[name] = parse(t, read(t, dir, name)).pod.Spec.Containers[0].Args
	}
	runs["receiver-server.service"] = regexp.MustCompile(`--[a-z-]+=\S+`).FindAllString(string(read(t, dir, "receiver-server.service")), -1)
	for name, args := range runs {
		output, err := exec.Command(program, append(args, "--print-config")...).CombinedOutput()
		if got := strings.Count(string(output), " # flag\n"); err != nil || len(args) == 0 || got != len(args) {
			t.Errorf("of the flags %q in %s the server takes %d: %v\n%s", args, name, got, err, output)
		}
	}
}

// serves runs the server, has it store an event, and stops it as Kubernetes does.
func serves(t *testing.T, root string, config *dockerspec.DockerOCIImage) {
	data, addr, ops := t.TempDir(), free(t), free(t)
	server := contained(t, root, data, config, "--insecure", "--addr="+addr, "--ops-addr="+ops)
	var output bytes.Buffer
	server.Stdout, server.Stderr = &output, &output
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	defer server.Process.Kill()
	if err := eventually(func() error { return get("http://" + ops + "/livez") }); err != nil {
		server.Process.Kill()
		<-ended
		t.Fatalf("%v\n%s", err, output.String())
	}
	for _, page := range []string{"/readyz", "/metrics"} {
		if err := get("http://" + ops + page); err != nil {
			t.Error(err)
		}
	}
	if _, err := receiverpb.NewReceiverClient(dial(t, addr)).Receive(t.Context(), &receiverpb.Event{Xwho: "jerry", Xwhat: "install"}); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Join(data, "receiver.db"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; fmt.Sprintf("%d:%[1]d", owner) != config.Config.User {
		t.Errorf("the log is a file of user %d", owner)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("after SIGTERM it ends with %v\n%s", err, output.String())
	}
}

// dial returns a connection that ends with the test.
func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// free returns an address that nobody has.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// get returns an error unless a page answers 200.
func get(url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return nil
}

// eventually calls a function until it returns no error, for half a minute.
func eventually(try func() error) (err error) {
	for range 300 {
		if err = try(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
