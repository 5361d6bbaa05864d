package guard

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// run runs a command that must work, and returns what it prints.
func run(t testing.TB, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Keys("shop-server", args, os.Getenv, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAddListRevoke(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	secret := strings.TrimSuffix(run(t, "add", "shop", "--source", `a "b" c`, "--keys", name), "\n")
	if !regexp.MustCompile(`^pgr_[0-9a-f]{72}$`).MatchString(secret) || fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(secret[4:68]))) != secret[68:] {
		t.Errorf("the key is %q", secret)
	}
	other := strings.TrimSpace(run(t, "add", "--keys", name, "--all-sources", "--expires", "90d", "every.thing"))
	run(t, "add", "--keys", name, "--tails", "x", "--source", "x")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has %v (%v)", info.Mode(), err)
	}
	text := read(t, name)
	if !strings.HasPrefix(text, "# API keys") || strings.Contains(text, secret) || strings.Contains(text, secret[4:30]) {
		t.Errorf("the file is\n%s", text)
	}
	ring := &keyring{}
	if err := ring.load([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{secret: `a "b" c`, other: ""} {
		if in := ring.find(secret); in == nil || in.Source != want || in.AllSources != (want == "") {
			t.Errorf("the key is %+v", in)
		}
	}
	listed := run(t, "list", "--keys", name)
	want := regexp.MustCompile(`^\{"name":"shop","source":"a \\"b\\" c","added":"[^"]+"\}
\{"name":"every.thing","all_sources":true,"added":"[^"]+","expires":"[^"]+"\}
\{"name":"x","source":"x","tails":true,"added":"[^"]+"\}
$`)
	if !want.MatchString(listed) {
		t.Errorf("listed are\n%s", listed)
	}
	run(t, "revoke", "every.thing", "--keys", name)
	if left := read(t, name); left != strings.Join(append(strings.SplitAfter(text, "\n")[:3:3], strings.SplitAfter(text, "\n")[4:]...), "") {
		t.Errorf("what is left is\n%s", left)
	}
}

func TestTheFileStaysWhatItIs(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("# mine\r\n\n"+line("of-7", "source=7 added=2026-01-01T00:00:00+02:00")), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	run(t, "add", "new", "--source", "n", "--keys", link)
	if target, err := os.Readlink(link); err != nil || target != "file" {
		t.Errorf("the link leads to %q (%v)", target, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v (%v)", info.Mode(), err)
	}
	if text := read(t, file); !strings.HasPrefix(text, "# mine\n\n"+line("of-7", "source=7 added=2026-01-01T00:00:00+02:00")+"new  sha256:") {
		t.Errorf("the file is\n%s", text)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("the folder has %v (%v)", left, err)
	}
}

func TestKeysAddedAtOnceAllStay(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	var commands sync.WaitGroup
	for i := range 20 {
		commands.Go(func() { run(t, "add", fmt.Sprint("key-", i), "--source", "s", "--keys", name) })
	}
	commands.Wait()
	if listed := run(t, "list", "--keys", name); strings.Count(listed, "\n") != 20 {
		t.Errorf("listed are\n%s", listed)
	}
}

func TestWrongCommands(t *testing.T) {
	name := write(t, line("taken", "source=7"))
	broken := write(t, "broken\n")
	for _, test := range []struct{ args, want string }{
		{"", "want shop-server keys add|list|revoke (see shop-server keys --help)"},
		{"rotate", "want shop-server keys add|list|revoke (see shop-server keys --help)"},
		{"add a --source s", "want the file of keys: --keys FILE (see shop-server keys add --help)"},
		{"add --source s --keys FILE", "want shop-server keys add NAME (see shop-server keys add --help)"},
		{"add a b --source s --keys FILE", `unexpected argument "b": see shop-server keys add --help`},
		{"add a --keys FILE", "want either --source SOURCE or --all-sources"},
		{"add a --keys FILE --source s --all-sources", "want either --source SOURCE or --all-sources"},
		{"add sha256:a --keys FILE --source s", `"sha256:a" can't be the name of a key: want up to 64 letters, digits, dots, dashes and underscores`},
		{"add taken --keys FILE --source s", "FILE has a key taken: revoke it before, or take another name"},
		{"add a --keys FILE --source s --expires soon", `--expires "soon": want a time such as 90d, 12h or 2027-01-31`},
		{"add a --keys FILE --source s --expires 2020-01-01", `--expires "2020-01-01" has passed`},
		{"add a --keys FILE --source s --expires 0d", `--expires "0d" has passed`},
		{"add a --keys FILE --source s --key x", "unknown flag --key: did you mean --keys?"},
		{"add a --keys BROKEN --source s", "BROKEN:1: want NAME sha256:DIGEST source=SOURCE"},
		{"list --keys BROKEN", "BROKEN:1: want NAME sha256:DIGEST source=SOURCE"},
		{"list a --keys FILE", `unexpected argument "a": see shop-server keys list --help`},
		{"add pgr_0123456789abcdef --keys FILE --source s", "want the NAME of the key, not the key itself"},
		{"revoke pgr_0123456789abcdef --keys FILE", "want the NAME of the key, not the key itself"},
		{"list --keys pgr_0123456789abcdef", "--keys has an API key: want the name of the file that has the digests of all keys"},
		{"revoke b --keys FILE", `FILE has no key "b" (see shop-server keys list)`},
	} {
		var out bytes.Buffer
		paths := strings.NewReplacer("FILE", name, "BROKEN", broken)
		args := strings.Fields(test.args)
		for i := range args {
			args[i] = paths.Replace(args[i])
		}
		want := test.want
		if !strings.HasPrefix(want, "want the file") {
			want = paths.Replace(want)
		}
		err := Keys("shop-server", args, func(string) string { return "" }, &out)
		if err == nil || err.Error() != want || out.Len() > 0 {
			t.Errorf("%s: error is %v, want %s; printed is %q", test.args, err, want, out.String())
		}
	}
	if text := read(t, name); text != line("taken", "source=7") {
		t.Errorf("the file is\n%s", text)
	}
}

// full is where nothing can be written.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAKeyThatCannotBePrintedIsNotAdded(t *testing.T) {
	name := write(t, line("taken", "source=7"))
	err := Keys("shop-server", []string{"add", "a", "--source", "s", "--keys", name}, func(string) string { return "" }, full{})
	if err == nil || err.Error() != "the key can't be printed, and was not added: no space left" {
		t.Errorf("error is %v", err)
	}
	if text := read(t, name); text != line("taken", "source=7") {
		t.Errorf("the file is\n%s", text)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"add", "--help"}, {"list", "-h"}, {"revoke", "--help"}} {
		var out bytes.Buffer
		if err := Keys("shop-server", args, os.Getenv, &out); !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(out.String(), "Usage: shop-server keys ") {
			t.Errorf("%v: error is %v; printed is\n%s", args, err, out.String())
		}
	}
}

func TestTheFileComesFromTheEnvironmentOfTheServer(t *testing.T) {
	name := write(t, line("of-7", "source=7"))
	var out bytes.Buffer
	getenv := func(name string) func(string) string {
		return func(variable string) string {
			if variable == "SHOP_SERVER_KEYS" {
				return name
			}
			return ""
		}
	}(name)
	if err := Keys("shop-server", []string{"list"}, getenv, &out); err != nil || out.String() != `{"name":"of-7","source":"7"}`+"\n" {
		t.Errorf("error is %v; printed is %q", err, out.String())
	}
}

// TestWrongLines checks that errors say where and what, and nothing that is in the file.
func TestWrongLines(t *testing.T) {
	digest := strings.Fields(line("a", "tails"))[1]
	tenWrong := ""
	for i := range 10 {
		tenWrong += fmt.Sprintf("keys:%d: want NAME sha256:DIGEST source=SOURCE\n", i+1)
	}
	for text, want := range map[string]string{
		"a":                                                          "keys:1: want NAME sha256:DIGEST source=SOURCE",
		"# comment\n\n\ta \"b":                                       "keys:3: want NAME sha256:DIGEST source=SOURCE",
		"a/b " + digest + " all-sources":                             "keys:1: a name has up to 64 letters, digits, dots, dashes and underscores",
		"a " + digest + "00 all-sources":                             "keys:1: after the name, want sha256: and 64 hexadecimal digits",
		"a " + digest[7:] + " all-sources":                           "keys:1: after the name, want sha256: and 64 hexadecimal digits",
		"a sha256:" + strings.Repeat("x", 64):                        "keys:1: after the name, want sha256: and 64 hexadecimal digits",
		"a " + digest:                                                "keys:1: want either source=SOURCE or all-sources",
		"a " + digest + " source=":                                   "keys:1: want a source after source=, in double quotes if it has spaces",
		"a " + digest + ` source="\z"`:                               "keys:1: want a source after source=, in double quotes if it has spaces",
		"a " + digest + " source=a all-sources":                      "keys:1: want either source=SOURCE or all-sources",
		"a " + digest + " source=a source=b":                         "keys:1: source is given twice",
		"a " + digest + " source=a expires=tomorrow":                 "keys:1: expires: want a time such as 2026-01-31T00:00:00Z",
		"a " + digest + " source=a added=1":                          "keys:1: added: want a time such as 2026-01-31T00:00:00Z",
		"a " + digest + " source=a taisl":                            "keys:1: after the digest, want source=SOURCE or all-sources, added=TIME, expires=TIME, tails",
		strings.Repeat("a\n", 100_000):                               tenWrong + "keys: 99990 more lines are wrong",
		line("a", "all-sources") + line("a", "tails source=1"):       "keys:2: there is a key a in line 1",
		line("a", "all-sources") + "b " + digest + " all-sources\nc": "keys:2: the digest is that of a\nkeys:3: want NAME sha256:DIGEST source=SOURCE",
	} {
		_, err := parse("keys", []byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%.80q: error is %.800v, want %s", text, err, want)
		}
	}
}

// Editors of other systems end lines otherwise, and begin files with a mark.
func TestAFileOfAnotherEditorIsRead(t *testing.T) {
	text := "\ufeff# comment\r\n" + strings.ReplaceAll(line("a", "source=7"), "\n", "\r\n")
	file, err := parse("keys", []byte(text))
	if err != nil || len(file.keys) != 1 || file.keys[0].Source != "7" {
		t.Errorf("keys are %v (%v), want a", file.keys, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(keysOfAllKinds)
	f.Add(`a sha256:00 source="`)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parse("keys", []byte(text))
		if err != nil {
			return
		}
		for _, key := range file.keys {
			again, err := parseKey(key.line())
			if err != nil || again != key {
				t.Errorf("%+v is written as %s, which is %+v (%v)", key, key.line(), again, err)
			}
		}
	})
}

func TestExpires(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":           {},
		"90d":        time.Date(2027, 2, 25, 12, 0, 0, 0, time.UTC),
		"36h":        time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC),
		"2027-01-31": time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseExpires(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s (%v), want %s", text, got, err, want)
		}
	}
}
