package command

import (
	"fmt"
	"slices"
	"strings"
)

// builtin are the words that ask for help. They select no command.
var builtin = []string{"help", "-h", "-help", "--help"}

// full is a command's longest name, which no other command has.
func (c Command) full() string {
	if c.Service == "" {
		return c.Name
	}
	return c.Service + "." + c.Name
}

// checkNames tells a program that is wrong so.
func checkNames(commands []Command) error {
	seen := make(map[string]bool)
	for _, c := range commands {
		name := c.full()
		switch {
		case seen[name]:
			return fmt.Errorf("the program is wrong: it has two commands %q", name)
		case slices.Contains(builtin, name):
			return fmt.Errorf("the program is wrong: %q is built in, and a command of no service has that name", name)
		}
		seen[name] = true
	}
	return nil
}

// find returns the command that a word selects, with the shortest name that
// selects it for its name.
func find(env Env, commands []Command, word string) (Command, error) {
	switch found := named(commands, word); len(found) {
	case 0:
		return Command{}, fmt.Errorf("no command %q; the commands are: %s (run '%s help')", word, list(commands, commands), env.Program)
	case 1:
		found[0].Name = shortest(commands, found[0])
		return found[0], nil
	default:
		return Command{}, fmt.Errorf("%q may be any of: %s (run '%s help')", word, list(commands, found), env.Program)
	}
}

// named returns the commands that a word may mean: the one of that full name,
// or else all that have the word for a shorter one.
func named(commands []Command, word string) []Command {
	if slices.Contains(builtin, word) {
		return nil
	}
	var found []Command
	for _, c := range commands {
		if c.full() == word {
			return []Command{c}
		}
		if c.answers(word) {
			found = append(found, c)
		}
	}
	return found
}

// answers reports whether a word is the command's name, with the end of its
// service's name before it or not.
func (c Command) answers(word string) bool {
	if word == c.Name {
		return true
	}
	service, qualified := strings.CutSuffix(word, "."+c.Name)
	end := len(c.Service) - len(service)
	return qualified && service != "" && end >= 0 && strings.EqualFold(c.Service[end:], service) &&
		(end == 0 || c.Service[end-1] == '.')
}

// shortest is the shortest name that selects a command and no other.
func shortest(commands []Command, c Command) string {
	name, rest := c.Name, c.Service
	for rest != "" && !selects(commands, name, c) {
		dot := strings.LastIndex(rest, ".")
		name, rest = rest[dot+1:]+"."+name, rest[:max(dot, 0)]
	}
	return name
}

func selects(commands []Command, name string, c Command) bool {
	found := named(commands, name)
	return len(found) == 1 && found[0].full() == c.full()
}

func list(commands, found []Command) string {
	var names []string
	for _, c := range found {
		names = append(names, shortest(commands, c))
	}
	return strings.Join(names, ", ")
}
