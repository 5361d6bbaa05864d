//runtime:used

package command

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// Completion is the command completion, which prints a script with which bash, zsh or
// fish completes commands, flags and their values. The script asks the program, so it
// knows what the program does, also after the next generation.
var Completion = Extension{command: Command{
	Name: "completion",
	Doc:  "Prints a script with which a shell completes commands and flags: completion bash|zsh|fish",
}, tool: tool{run: completion, complete: func(Env, []string) []string { return shells }}}

var shells = []string{"bash", "zsh", "fish"}

func completion(_ context.Context, env Env, commands []Command, args []string) error {
	switch {
	case len(args) > 0 && args[0] == "--":
		return write(env.Stdout, strings.Join(complete(env, commands, args[1:]), "\n")+"\n")
	case len(args) == 1 && slices.Contains(builtin, args[0]):
		return write(env.Stdout, strings.ReplaceAll(`Prints a script with which a shell completes commands, flags and their values.

Usage: PROGRAM completion bash|zsh|fish

  source <(PROGRAM completion bash)    # in bash; in ~/.bashrc it lasts
  source <(PROGRAM completion zsh)     # in zsh, after compinit
  PROGRAM completion fish | source     # in fish
`, "PROGRAM", env.Program))
	case len(args) != 1 || scripts[args[0]] == "":
		return exit{fmt.Errorf("want one shell of %s (run '%s help completion')", strings.Join(shells, ", "), env.Program), exitMisused}
	}
	function := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, env.Program)
	return write(env.Stdout, strings.NewReplacer("PROGRAM", env.Program, "FUNCTION", function).Replace(scripts[args[0]]))
}

// scripts print what the program answers to "completion -- WORD...": a line with "words"
// or "files", and then lines with a word each, and after a tab what it is.
var scripts = map[string]string{
	"bash": `# PROGRAM's completion for bash: source <(PROGRAM completion bash)
_FUNCTION_complete() {
	local line kind= cur=${COMP_WORDS[COMP_CWORD]}
	[[ $cur == = ]] && cur=
	COMPREPLY=()
	while IFS= read -r line; do
		if [[ -z $kind ]]; then
			kind=$line
		else
			printf -v line %q "${line%%$'\t'*}" # the shell would evaluate $(…) in a word
			COMPREPLY+=("$line")
		fi
	done < <("${COMP_WORDS[0]}" completion -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	if [[ $kind == files ]]; then
		compopt -o filenames 2>/dev/null
		cur=${cur#[\"\']}
		cur=${cur//\\/}
		while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
	fi
}
complete -F _FUNCTION_complete PROGRAM
`,
	"zsh": `#compdef PROGRAM
# PROGRAM's completion for zsh: source <(PROGRAM completion zsh)
_FUNCTION_complete() {
	local line
	local -a lines values
	lines=("${(@f)$(${(Q)words[1]} completion -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ $lines[1] == files ]]; then
		compset -P '-[^=]#='
		_files
		return
	fi
	for line in "${(@)lines[2,-1]}"; do
		line=${line//\\/\\\\}
		if [[ $line == *$'\t'* ]]; then
			values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
		else
			values+=("${line//:/\\:}")
		fi
	done
	_describe -V PROGRAM values
}
compdef _FUNCTION_complete PROGRAM
`,
	"fish": `# PROGRAM's completion for fish: PROGRAM completion fish | source
function __FUNCTION_complete
	set -l words (commandline -opc) (commandline -ct)
	set -l lines ($words[1] completion -- $words[2..] 2>/dev/null)
	if test "$lines[1]" = files
		set -l flag (string match -r -- '^-[^=]*=' (commandline -ct))
		for path in (__fish_complete_path (string replace -r -- '^-[^=]*=' '' (commandline -ct)))
			echo "$flag$path"
		end
	else
		string join \n -- $lines[2..]
	end
end
complete -c PROGRAM -f -a '(__FUNCTION_complete)'
`,
}

// complete returns the answer to the words of a command line, the last of which may be
// half written.
func complete(env Env, commands []Command, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	if len(words) == 1 || len(words) == 2 && slices.Contains(builtin, words[0]) {
		var all []string
		for _, c := range commands {
			summary, _, _ := strings.Cut(c.doc(), "\n")
			all = append(all, described(shortest(commands, c), summary))
		}
		if len(words) == 1 {
			all = append(all, "help\tShows the flags of a command")
		}
		return matching(all, last)
	}
	c, err := find(env, commands, words[0])
	if err != nil {
		return []string{"words"}
	}
	tool := c.extension().tool
	if tool.plan != nil { // it is about another command
		if len(words) == 2 {
			var all []string
			for _, c := range commands {
				if c.RPC != "" {
					all = append(all, shortest(commands, c))
				}
			}
			return matching(all, last)
		}
		env.plan = tool.plan()
		if c, err = find(env, commands, words[1]); err != nil {
			return []string{"words"}
		}
		words = words[1:]
	} else if tool.complete != nil {
		return matching(tool.complete(env, words[1:len(words)-1]), last)
	}
	return c.completeFlags(env, words[1:])
}

// completeFlags completes a flag, or its value.
func (c Command) completeFlags(env Env, words []string) []string {
	fields, err := c.fields()
	if err != nil {
		return []string{"words"}
	}
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	p := new(parsed)
	p.define(set, env, c)
	values, docs := map[string]string{}, map[string]string{} // of the flags
	var names []string
	for i, f := range c.Flags {
		names = append(names, f.Name)
		values[f.Name], docs[f.Name] = valueOf(fields[i]), strings.TrimSpace(f.Doc)
	}
	set.VisitAll(func(f *flag.Flag) {
		names = append(names, f.Name)
		values[f.Name], docs[f.Name] = flag.UnquoteUsage(f)
	})
	last, prefix := words[len(words)-1], ""
	before := ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	// Bash takes --flag=value for three words.
	switch name, value, ok := strings.Cut(last, "="); {
	case ok && name != "":
		before, last, prefix = name, value, name+"="
	case last == "=":
		last = ""
	case before == "=" && len(words) > 2:
		before = words[len(words)-3]
	}
	name, isFlag := strings.CutPrefix(before, "-")
	name = strings.TrimPrefix(name, "-")
	kind, known := values[name]
	takesValue := kind != "" && kind != "bool"
	if isFlag && known && !strings.HasPrefix(last, "-") && (takesValue || prefix != "") {
		return completeValue(p, env, name, kind, last, prefix)
	}
	var all []string
	for _, name := range names {
		doc, _, _ := strings.Cut(docs[name], "\n")
		all = append(all, described("--"+name, doc))
	}
	return matching(all, last)
}

// completeValue completes the value of a flag.
func completeValue(p *parsed, env Env, name, kind, last, prefix string) []string {
	var all []string
	for _, added := range p.additions() {
		if added.values != nil {
			all = append(all, added.values(env, name)...)
		}
	}
	kind = strings.TrimPrefix(kind, "repeated ")
	switch {
	case len(all) > 0:
	case kind == "FILE":
		return []string{"files"}
	case kind == "" || kind == "bool":
		all = []string{"true", "false"}
	case strings.Contains(kind, "|"):
		kind, _, _ = strings.Cut(kind, ", ") // of a oneof
		all = strings.Split(kind, "|")
	}
	words := matching(all, last)
	for i := range words[1:] {
		words[i+1] = prefix + words[i+1]
	}
	return words
}

func described(word, doc string) string {
	if doc == "" {
		return word
	}
	return word + "\t" + terminal.Text(strings.ReplaceAll(doc, "\t", " "))
}

// matching returns the words that begin with what is written.
func matching(all []string, written string) []string {
	words := []string{"words"}
	for _, word := range all {
		if strings.HasPrefix(word, written) {
			words = append(words, word)
		}
	}
	return words
}
