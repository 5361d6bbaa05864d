package command

import (
	"fmt"
	"slices"
	"strings"
)

// builtin are the words that ask for help. They never select a command.
var builtin = []string{"help", "-h", "-help", "--help"}

// fullName returns a command's longest name, which no other command has.
func (c Command) fullName() string {
	if c.Service == "" {
		return c.Name
	}
	return c.Service + "." + c.Name
}

// checkNames returns an error if the program has two commands of the same name, or
// one that can't be selected.
func checkNames(commands []Command) error {
	seen := make(map[string]bool)
	for _, c := range commands {
		name := c.fullName()
		switch {
		case seen[name]:
			return fmt.Errorf("the program has a bug: it has two commands %q", name)
		case slices.Contains(builtin, name):
			return fmt.Errorf("the program has a bug: %q is built in, but a command without a service has that name", name)
		}
		seen[name] = true
	}
	return nil
}

// find returns the command that a word selects. The name of the result is the
// shortest that selects it.
func find(env Env, commands []Command, word string) (Command, error) {
	switch matches := named(commands, word); len(matches) {
	case 0:
		return Command{}, fmt.Errorf("no command %q; the commands are: %s (run '%s help')", word, list(commands, commands), env.Program)
	case 1:
		matches[0].Name = shortest(commands, matches[0])
		return matches[0], nil
	default:
		return Command{}, fmt.Errorf("%q may mean any of: %s (run '%s help')", word, list(commands, matches), env.Program)
	}
}

// named returns the commands that a word may mean: the one with that full name, or
// if there is none, all that have it as a shorter name.
func named(commands []Command, word string) []Command {
	if slices.Contains(builtin, word) {
		return nil
	}
	var matches []Command
	for _, c := range commands {
		if c.fullName() == word {
			return []Command{c}
		}
		if c.answersTo(word) {
			matches = append(matches, c)
		}
	}
	return matches
}

// answersTo reports whether a word is the command's name, alone or after the end
// of its service's name.
func (c Command) answersTo(word string) bool {
	if word == c.Name {
		return true
	}
	service, ok := strings.CutSuffix(word, "."+c.Name)
	end := len(c.Service) - len(service)
	return ok && service != "" && end >= 0 && strings.EqualFold(c.Service[end:], service) &&
		(end == 0 || c.Service[end-1] == '.')
}

// shortest returns the shortest name that selects a command and no other.
func shortest(commands []Command, c Command) string {
	name, rest := c.Name, c.Service
	for rest != "" && !selects(commands, name, c) {
		dot := strings.LastIndex(rest, ".")
		name, rest = rest[dot+1:]+"."+name, rest[:max(dot, 0)]
	}
	return name
}

func selects(commands []Command, name string, c Command) bool {
	matches := named(commands, name)
	return len(matches) == 1 && matches[0].fullName() == c.fullName()
}

// list returns the shortest names of some of the commands.
func list(commands, some []Command) string {
	var names []string
	for _, c := range some {
		names = append(names, shortest(commands, c))
	}
	return strings.Join(names, ", ")
}
