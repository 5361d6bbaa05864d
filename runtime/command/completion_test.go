package command

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completed returns what follows a command line, without descriptions. The first is
// "words" or "files".
func completed(t *testing.T, words ...string) (got []string) {
	t.Helper()
	var out bytes.Buffer
	home := t.TempDir()
	config := writeFile(t, filepath.Join(home, "config.yaml"), "contexts: {dev: {addr: a}, prod: {addr: b}, \"two\\nlines\": {addr: c}}\n")
	env := Env{Program: "test-client", Args: append([]string{"completion", "--"}, words...), Stdout: &out, Getenv: func(name string) string {
		if name == "TEST_CLIENT_CONFIG" {
			return config
		}
		return ""
	}}
	if err := Run(context.Background(), env, With([]Command{events, watch}, Contexts, Completion, From, Output, Bench)); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		got = append(got, word)
	}
	return got
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ words, want string }{
		{"", "words send watch context completion bench help"},
		{"se", "words send"},
		{"help wa", "words watch"},
		{"completion ", "words bash zsh fish"},
		{"context ", "words list show use set delete"},
		{"context use p", "words prod"},
		{"context set prod --t", "words --token-file --tls-cert --tls-key"},
		{"bench ", "words send"},
		{"bench send --ra", "words --rate"},
		{"send --fr", "words --from"},
		{"send --from ", "files"},
		{"send --from=x", "files"},
		{"send --format ", "words ndjson csv"},
		{"send --format = c", "words csv"}, // as bash splits it
		{"send --format=c", "words --format=csv"},
		{"send --context ", "words dev prod"},
		{"send --fill_username=", "words --fill_username=true --fill_username=false"},
		{"send --output t", "words table"},
		{"send --payload x --addr", "words --addr"},
		{"none x", "words"},
	} {
		if got := strings.Join(completed(t, strings.Split(test.words, " ")...), " "); got != test.want {
			t.Errorf("after %q come %q, want %q", test.words, got, test.want)
		}
	}
}

// The scripts are run by the shells that they are for.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "receiver-client")); err != nil {
		t.Skip(err)
	}
	for shell, script := range map[string]string{
		"bash": `source <(receiver-client completion bash)
complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _receiver_client_complete; printf '%s\n' "${COMPREPLY[@]}"; }
complete_it receiver-client ec
complete_it receiver-client completion f
complete_it receiver-client echo --ca FILE.p`,
		"zsh": `autoload -Uz compinit; compinit -u -D
source <(receiver-client completion zsh)
_describe() { print -l -- "${values[@]%%:*}" }
_files() { print -l -- FILE.p* }
complete_it() { words=("$@"); CURRENT=$#; _receiver_client_complete; }
complete_it receiver-client ec
complete_it receiver-client completion f
compset() { : }
complete_it receiver-client echo --ca FILE.p`,
		"fish": `receiver-client completion fish | source
function complete_it; complete -C "$argv" | string replace -r "\\t.*" ""; or true; end
complete_it receiver-client ec
complete_it receiver-client completion f
complete_it receiver-client echo --ca FILE.p`,
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(shell)
			if err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			work := t.TempDir()
			writeFile(t, filepath.Join(work, "FILE.pem"), "")
			command := exec.Command(program, "-c", script)
			command.Dir = work
			command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), programVariable+"=1", "HOME="+work, "XDG_CONFIG_HOME="+work)
			output, err := command.CombinedOutput()
			if got := strings.Fields(string(output)); err != nil || !slices.Equal(got, []string{"echo", "fish", "FILE.pem"}) {
				t.Errorf("it completes %q, %v", output, err)
			}
		})
	}
}

// What a word holds is text to the shell that completes it.
func TestBashEvaluatesNoWord(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	var script bytes.Buffer
	env := Env{Program: "receiver-client", Args: []string{"completion", "bash"}, Stdout: &script, Getenv: os.Getenv}
	if err := Run(t.Context(), env, With(nil, Completion)); err != nil {
		t.Fatal(err)
	}
	const word = "a $(touch evaluated); touch evaluated `touch evaluated` 'b"
	work := t.TempDir()
	writeFile(t, filepath.Join(work, "word"), "words\n"+word+"\tdescription\n")
	writeFile(t, filepath.Join(work, "my file"), "")
	// eval does what bash does with the word once the line is entered.
	command := exec.Command(bash, "-c", script.String()+`
receiver-client() { if [[ ${*: -1} == a* ]]; then cat word; else echo files; fi; }
complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _receiver_client_complete; }
complete_it receiver-client 'a\ f'
[[ ${#COMPREPLY[@]} == 1 ]] || exit 1
eval "entered=(${COMPREPLY[0]})"
printf '%s' "${entered[@]}"
for written in 'my\ f' '"my f' "'my f"; do
	complete_it receiver-client "$written"
	[[ ${COMPREPLY[0]} == 'my file' ]] || exit 2
done
`)
	command.Dir = work
	output, err := command.CombinedOutput()
	if err != nil || string(output) != word {
		t.Errorf("the word is %q, %v", output, err)
	}
	if _, err := os.Stat(filepath.Join(work, "evaluated")); err == nil {
		t.Error("what it holds was evaluated")
	}
}
