package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions are command lines that end where a key asks for more, and what is offered.
var completions = []struct {
	line string
	want []string
}{
	{"gen", []string{"generate"}},
	{"help opt", []string{"options"}},
	{"completion p", []string{"powershell"}},
	{"generate --che", []string{"--check"}},
	{"generate sh", []string{"shop.proto"}},
	{"generate -I api/", []string{"api/v1/", "api/v2/"}},
	{"templates --export=ap", []string{"--export=api/"}},
	{"generate --receiver_opt=sca", []string{"--receiver_opt=scaffold="}},
	{"generate --receiver_opt=scaffold=", []string{"--receiver_opt=scaffold=all", "--receiver_opt=scaffold=new"}},
	{"generate --receiver_opt=templates=ap", []string{"--receiver_opt=templates=api/"}},
	{"generate --receiver_opt=comments=api/", []string{"--receiver_opt=comments=api/a.proto", "--receiver_opt=comments=api/v1/", "--receiver_opt=comments=api/v2/"}},
	{"generate --receiver_opt engines=sqlite+", []string{"engines=sqlite+nats"}},
	{"templates --export=api event/{gen}/{base}e", []string{"event/{gen}/{base}events/{event}.go.tmpl"}},
	{"version ", nil},
}

// TestCompletion has real shells complete command lines by the scripts that the
// command prints.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	if output, err := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", program), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, at := range []string{"work/api/v1", "work/api/v2"} {
		if err := os.MkdirAll(filepath.Join(dir, at), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{"work/shop.proto", "work/shop.txt", "work/api/a.proto"} {
		if err := os.WriteFile(filepath.Join(dir, at), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for shell, complete := range shells {
		t.Run(shell, func(t *testing.T) {
			installed(t, shell)
			for _, test := range completions {
				got := complete(t, filepath.Join(dir, "work"), program+" "+test.line)
				if !slices.Equal(got, test.want) {
					t.Errorf("%q is completed by %q, want %q", test.line, got, test.want)
				}
			}
		})
	}
}

// TestScriptsAreMended checks, where no shell is installed, too, that cobra's scripts
// have what is replaced in them, which a newer cobra may write in another way.
func TestScriptsAreMended(t *testing.T) {
	for shell, want := range map[string][]string{
		"zsh":  {"'^-[^=]*='"},
		"fish": {"'^-[^=]*='", `string split --max 1 -- \t`},
	} {
		var script strings.Builder
		if err := run(t.Context(), env{args: []string{"completion", shell}, stdout: &script}); err != nil {
			t.Fatal(err)
		}
		for _, one := range want {
			if !strings.Contains(script.String(), one) {
				t.Errorf("the script of %s does not have %s", shell, one)
			}
		}
	}
}

// bashCompletion is what bash completes with: a package of its own.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// installed fails a test of a shell that is not installed in CI, and skips it elsewhere.
func installed(t *testing.T, shell string) {
	t.Helper()
	_, err := exec.LookPath(shell)
	get := shell
	if shell == "bash" && err == nil {
		_, err = os.Stat(bashCompletion)
		get = "bash-completion"
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: apt-get install %[1]s", get)
	case err != nil:
		t.Skipf("%s is missing: apt-get install %[1]s", get)
	}
}

// shells return what each shell offers in a folder for a line, as whole words in the
// order of the alphabet, folders with a slash at the end.
var shells = map[string]func(t *testing.T, dir, line string) []string{
	"bash": func(t *testing.T, dir, line string) (all []string) {
		// As readline does, it splits words at = and replaces only what is after the last one.
		last := line[strings.LastIndex(line, " ")+1:]
		before := last[:strings.LastIndex(last, "=")+1]
		for _, word := range offered(t, dir, "bash", "--norc", "-c", `
			source `+bashCompletion+`
			source <(protoc-gen-receiver completion bash)
			COMP_LINE=$0 COMP_POINT=${#0} COMP_TYPE=9
			read -ra COMP_WORDS <<< "$(sed 's/=/ = /g' <<< "$0")"
			[[ $0 == *[\ =] ]] && COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			compopt() { :; }
			__start_protoc-gen-receiver
			for word in "${COMPREPLY[@]}"; do [[ -d $word ]] && word=${word%/}/; echo "$word"; done`, line) {
			all = append(all, before+strings.ReplaceAll(word, `\`, ``))
		}
		return all
	},
	"zsh": func(t *testing.T, dir, line string) []string {
		// It puts completions on the screen by _describe and _arguments: here they print them.
		return offered(t, dir, "zsh", "-f", "-c", `
			compdef() { :; }
			compstate=()
			_describe() {
				local before=
				[[ $3 == -P ]] && before=$4
				for one in $completions; do
					one=$before${one%%:*}
					[[ $one == $words[-1]* ]] && print -r -- "$one"
				done
			}
			_arguments() {
				local glob=${${${1#*-g }//\\/}% }
				[[ $1 == *-/* ]] && glob='*(N/M)'
				local before= half=$words[-1]
				[[ $half == --*=* ]] && before=${half%%=*}= half=${half#*=}
				for one in ${half}${~glob}; do print -r -- "$before$one"; done
			}
			_files() { _arguments "$@"; }
			source <(protoc-gen-receiver completion zsh)
			words=(${=0}) && [[ $0 == *' ' ]] && words+=('')
			CURRENT=$#words
			_protoc-gen-receiver
			true`, line)
	},
	"fish": func(t *testing.T, dir, line string) (all []string) {
		for _, word := range offered(t, dir, "fish", "--no-config", "-c", `
			protoc-gen-receiver completion fish | source
			complete --do-complete $argv[1]`, line) {
			// Of files it offers all, since it can't be asked for some.
			if !strings.HasSuffix(word, ".txt") && !(strings.Contains(line, "-I ") && strings.HasSuffix(word, ".proto")) {
				all = append(all, word)
			}
		}
		return all
	},
}

func offered(t *testing.T, dir string, args ...string) (all []string) {
	t.Helper()
	command := exec.Command(args[0], args[1:]...)
	command.Dir = dir
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for line := range strings.Lines(string(output)) {
		word, _, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if word != "" {
			all = append(all, word)
		}
	}
	slices.Sort(all)
	return all
}
