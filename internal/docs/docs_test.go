//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// repository is the root of the repository.
const repository = "../.."

// quick is the page that make test runs; the others are run by make docs.
const quick = "README.md"

// TestPages checks every page, and runs them. With -short it runs one.
func TestPages(t *testing.T) {
	names, err := pages(repository)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 5 {
		t.Fatalf("there are only %d pages", len(names))
	}
	for _, name := range names {
		_, problems := read(repository, name)
		for _, problem := range problems {
			t.Error(problem)
		}
	}
	if t.Failed() {
		return
	}
	if testing.Short() {
		names = []string{quick}
	}
	var out strings.Builder
	failed, err := runPages(t.Context(), repository, names, &out)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	if failed > 0 {
		t.Errorf("%d pages are wrong", failed)
	}
}

// fences makes a page of a text, in which ”' is a fence.
func fences(text string) []byte {
	return []byte(strings.TrimPrefix(strings.ReplaceAll(text, "'''", "```"), "\n"))
}

// TestWrongBlocks checks that what nothing would run, or what can't be right, is
// reported at its line.
func TestWrongBlocks(t *testing.T) {
	for text, want := range map[string]string{
		"'''\nx\n'''":                                         `p.md:1: a block without a language`,
		"\n\n    x":                                           `p.md:2: an indented block`,
		"one\n\n'''go\npackage a\n'''":                        `p.md:3: nothing runs this block of go`,
		"one\n\n'''yaml\na: b\n'''":                           `p.md:3: nothing runs this block of yaml`,
		"'''sh skip\nx\n'''":                                  `p.md:1: skip has no reason`,
		"'''sh skip=\"\"\nx\n'''":                             `p.md:1: skip has no value`,
		"'''console background eventually\n$ x\ny\n'''":       `p.md:1: eventually is not for a block in the background`,
		"'''sh backgruond\nx\n'''":                            `p.md:1: a block of sh can't have backgruond here`,
		"'''sh until=x\nx\n'''":                               `p.md:1: until is for a block in the background`,
		"'''go file=../a.go\npackage a\n'''":                  `p.md:1: file=../a.go is not a path below the folder of the page`,
		"'''proto in=a.proto\nx\n'''":                         `p.md:1: in=PATH also needs after="TEXT"`,
		"'''go file=a.go\npackage a\nfunc f() {\n'''":         `p.md:1: `,
		"'''go file=a.go\npackage a\nvar  x int\n'''":         `p.md:1: not as gofmt has it`,
		"'''sh\n\necho 'a\n'''":                               `p.md:3: `,
		"'''sh\n\n# nothing\n'''":                             `p.md:1: no command in this block`,
		"'''console\nx\n'''":                                  `p.md:1: a console block begins with a command`,
		"'''console\n$ x\ny\n$ if\n'''":                       `p.md:4: `,
		"'''proto file=a.proto\nsyntax = \"proto3\";\nx\n'''": `p.md:3: `,
		"'''proto file=a.proto\nsyntax = \"proto3\";\n\nmessage A { B b = 1; }\n'''": `p.md:4: `,
		"a\n<!-- docs-test: sh\nx -->":    `p.md:2: a comment for the test ends with a line that is only -->`,
		"a\n\n<!-- docs-test: go\nx\n-->": `p.md:3: nothing runs this block of go`,
	} {
		_, problems := parse("p.md", fences(text))
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) {
			t.Errorf("of %q: %v, want %s…", text, problems, want)
		}
	}
}

// machineFor returns a machine that has no programs of its own.
func machineFor(t *testing.T) *machine {
	return &machine{programs: t.TempDir(), env: append(environment(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off"), limit: time.Minute}
}

// try runs a page.
func try(t *testing.T, m *machine, text string) (result, error) {
	t.Helper()
	p, problems := parse("p.md", fences(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m.run(t.Context(), p)
}

// TestARightPage runs a page with a block of each kind.
func TestARightPage(t *testing.T) {
	t.Setenv("CI", "") // where a program that a block needs may not be missing
	r, err := try(t, machineFor(t), `
# A page

<!-- docs-test: sh
mkdir start

echo ready > start/state
-->

'''sh
cd start
export NAME=you
word="two words"
'''

'''console eventually
$ echo >> tries; wc -l < tries
3
'''

'''console
$ cat state; pwd
ready
…/start
$ echo "$NAME" "$word" |
> tr a-z A-Z; date
YOU TWO …
…
$ seq 5
1
…
5
$ echo not compared
'''

'''go file=m/main.go
package main

import (
	"errors"
	"os"
)

// main is replaced.
func main() { os.Exit(code()) }

type kind struct{}

func (k *kind) String() string { return errors.ErrUnsupported.Error() }
'''

'''go file=m/code.go
package main

func code() int { return 0 }

type holder struct{ name string }

var held holder
'''

'''text file=m/go.mod
module example.com/m

go 1.26
'''

'''go func=m/main.go
// main prints.
func main() {
	fmt.Println(strings.ToUpper((&kind{}).String()), held.name)
	os.Exit(code())
}

func (k *kind) String() string { return "a kind" }

func added() {}
'''

'''text in=m/go.mod after="module "
// A comment.
'''

'''console
$ cd m; go run .
A KIND
$ sed -n 2p go.mod
// A comment.
$ cat main.go
package main

import "fmt"
…
	"os"
…
// main prints.
func main() {
…
func added() {}
'''

'''console exit=3
$ exit 3
'''

'''sh background=one until="at work"
echo at work; sleep 600
'''

'''console background
$ echo first; echo second 1; echo third; sleep 600
first
second …
'''

'''sh stop=one
true
'''

'''json
{"not": "run"}
'''

'''sh skip="needs a cluster"
exit 1
'''

'''sh needs=no-such-program
exit 1
'''
`)
	if err != nil {
		t.Fatal(err)
	}
	if r.blocks != 14 || r.compared != 8 || r.written["go"] != 3 || len(r.skips) != 2 || !strings.HasSuffix(r.skips[0], "needs a cluster") {
		t.Errorf("counted %+v", r)
	}
}

// TestWrongPages checks that what does not do as the page says is reported at the right
// line, with what was printed.
func TestWrongPages(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"a command fails", "# A\n\n'''sh\ntrue\necho so; false\necho after\n'''", []string{"p.md:5: ended with exit code 1, not 0", "so"}},
		{"an earlier command of a pipe fails", "'''sh\n\nfalse | cat\n'''", []string{"p.md:3: ended with exit code 1"}},
		{"a variable is not set", "'''sh\n\necho $nothing\n'''", []string{"p.md: line 3: nothing: unbound variable"}},
		{"there is no such command", "'''sh\ntrue\nno-such-command\n'''", []string{"p.md:3: ended with exit code 127", "p.md: line 3: no-such-command"}},
		{"it does not fail as it should", "'''sh exit=1\ntrue\n'''", []string{"p.md:2: ended with exit code 0, not 1"}},
		{"other output", "'''console\n$ echo a\na\n$ echo b\nc\n'''", []string{"p.md:4: echo b", "should print", "c", "but prints", "b"}},
		{"more output", "'''console\n$ echo a; echo b\na\n'''", []string{"p.md:2: echo a; echo b"}},
		{"less output", "'''console\n$ echo a\na\nb\n'''", []string{"p.md:2: echo a"}},
		{"it never prints it", "'''console eventually\n$ echo a\nb\n'''", []string{"p.md:2: echo a", "should print", "b", "but prints", "a"}},
		{"it never serves", "'''sh background\necho starting; sleep 600\n'''", []string{"p.md:1: still runs after 1s, and has not printed \"serving\"", "starting"}},
		{"it ends before it serves", "a\n\n'''sh background\necho address in use; exit 1\n'''", []string{"p.md:3: ended, and has not printed \"serving\"", "address in use"}},
		{"it never prints what it should", "'''console background\n$ echo a; sleep 600\nb\n'''", []string{"p.md:2: still runs after 1s", "b", "a"}},
		{"it takes too long", "'''sh\necho so; sleep 600\n'''", []string{"p.md:2: not done after 1s", "so"}},
		{"it leaves a process", "'''sh\nsleep 600 &\n'''", []string{"p.md:2: leaves a process running"}},
		{"what runs beside it is shown", "'''sh background\necho serving; echo refused; sleep 600\n'''\n'''sh\nsleep 0.1; false\n'''", []string{"p.md:5: ", "in the background, started in line 1", "refused"}},
		{"nothing to stop", "'''sh stop=server\ntrue\n'''", []string{"p.md:1: nothing of that name runs in the background: server"}},
		{"nothing to insert after", "'''proto file=a\na\n'''\n'''proto in=a after=b\nc\n'''", []string{`p.md:4: a: no line contains "b"`}},
		{"two places to insert after", "'''proto file=a\nab\nb\n'''\n'''proto in=a after=b\nc\n'''", []string{`p.md:5: a: "b" is in line 1 and in line 2`}},
		{"no file to change", "'''go func=a.go\nfunc f() {}\n'''", []string{`p.md:1: open `}},
		{"outside of the page's folder", "'''sh\ncd ..\n'''\n'''text file=a\na\n'''", []string{`p.md:4: writes outside the folder of the page`}},
		{"go that does not build", "'''text file=go.mod\nmodule example.com/m\n\ngo 1.26\n'''\n'''go file=a.go\npackage a\n\nvar x string = 1\n'''", []string{"p.md: go vet", "a.go:3:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machineFor(t)
			if !strings.Contains(c.text, "go.mod") {
				m.limit = time.Second
			}
			_, err := try(t, m, c.text)
			if err == nil {
				t.Fatal("it passes")
			}
			if !strings.HasPrefix(err.Error(), "p.md:") {
				t.Errorf("no place in %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("reports\n%v\nwithout %q", err, want)
				}
			}
		})
	}
}

// TestPagesThatBeginAlike checks that what pages begin with is run once, and that none sees
// what another one did afterwards.
func TestPagesThatBeginAlike(t *testing.T) {
	counted := filepath.Join(t.TempDir(), "counted")
	m := machineFor(t)
	m.env = append(m.env, "COUNTED="+counted)
	const begin = `
echo so >> $COUNTED
echo 'echo tool' > ../bin/tool; chmod +x ../bin/tool
mkdir -p a/b; cd a; echo made > b/file
export HERE=$PWD
`
	var pages []*page
	for range 3 {
		p, problems := parse("p.md", fences("'''sh"+begin+"'''\n'''sh\ntest \"$(cat b/file)\" = made; test $HERE = $PWD; tool | grep -q tool\necho other > $HERE/b/file\n'''"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		pages = append(pages, p)
	}
	m.beginnings = beginningsOf(pages)
	for _, p := range pages {
		if r, err := m.run(t.Context(), p); err != nil || r.blocks != 2 || r.commands != 11 {
			t.Errorf("%d blocks and %d commands: %v", r.blocks, r.commands, err)
		}
	}
	if text, err := os.ReadFile(counted); err != nil || string(text) != "so\n" {
		t.Errorf("it was run as %q shows (%v), want once", text, err)
	}
}

// TestNothingOutlivesAPage checks that what a page starts has ended when it has.
func TestNothingOutlivesAPage(t *testing.T) {
	at := filepath.Join(t.TempDir(), "pids")
	m := machineFor(t)
	m.env = append(m.env, "PIDS="+at)
	if _, err := try(t, m, "'''sh background\n(echo $BASHPID >> $PIDS; exec sleep 600) &\necho $$ >> $PIDS; sleep 0.2; echo serving; wait\n'''"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for line := range strings.Lines(string(text)) {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 2 {
		t.Fatalf("the page started %d processes", len(pids))
	}
	for _, pid := range pids {
		if runs(t, pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
}

// TestAnInterruptEndsAPage checks that a page ends, with what it started, when it is
// interrupted.
func TestAnInterruptEndsAPage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, problems := parse("p.md", fences("'''sh\necho $$ > $PID; sleep 600\n'''"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	m := machineFor(t)
	at := filepath.Join(t.TempDir(), "pid")
	m.env = append(m.env, "PID="+at)
	go func() {
		for {
			if text, err := os.ReadFile(at); err == nil && len(text) > 0 {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if _, err := m.run(ctx, p); err == nil {
		t.Error("the page passes")
	}
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	if runs(t, pid) {
		t.Errorf("process %d still runs", pid)
	}
}

// runs reports whether a process runs, or one of its group; one that has ended, and for
// which no one has waited, does not.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	all, err := exec.Command("ps", "-A", "-o", "pid=,pgid=,stat=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(all)) {
		fields := strings.Fields(line)
		if slices.Contains(fields[:2], fmt.Sprint(pid)) && !strings.HasPrefix(fields[2], "Z") {
			return true
		}
	}
	return false
}
