//runtime:used

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v4"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// Contexts is the command context, and gives each command the flags --context and
// --config. A context names a server and how to reach it, so that flags need not. It is
// in a file of YAML, config.yaml in the folder of the program's name below that of the
// user's configuration:
//
//	current: dev
//	contexts:
//	  dev:
//	    addr: localhost:50051
//	  prod:
//	    addr: orders.example.com:443
//	    ca: ca.pem
//	    token-file: /run/secrets/orders
//
// The keys are flags: addr, ca, insecure, token-file, tls-cert and tls-key. Files are
// relative to the folder of the configuration. Flags and variables of the environment
// count more. What shows who calls goes to the server of its context only: with another
// address by flag or variable it is not sent. Secrets are in files of their own, which
// are read to be sent and never printed.
var Contexts = Extension{
	command: Command{
		Name: "context", Doc: "Lists and changes the servers of the configuration: context list|show|use|set|delete",
	},
	tool:  tool{run: contextCommand, complete: completeContext},
	flags: contextFlags,
}

// contextKeys are what a context may have, with what they are.
var contextKeys = []struct{ name, usage string }{
	{"addr", "`HOST:PORT` of the server"},
	{"ca", "`FILE` of PEM certificates to trust instead of the system's"},
	{"insecure", "allow an unencrypted connection to another machine"},
	{"token-file", "`FILE` with a token, which is sent as authorization: Bearer TOKEN"},
	{"tls-cert", "`FILE` with a certificate of the client in PEM format"},
	{"tls-key", "`FILE` with its key"},
}

// isFile reports whether a key of a context names a file.
func isFile(key string) bool { return key != "addr" && key != "insecure" }

// configuration is the file with the contexts.
type configuration struct {
	path     string
	root     *yaml.Node // a mapping
	current  string
	names    []string
	contexts map[string]map[string]string
}

const maxConfiguration = 1 << 20

// configurationPath returns the path of the file, and whether it must be there.
func configurationPath(env Env, given string) (path string, must bool) {
	if given == "" {
		given = env.Getenv(variable(env.Program, "CONFIG"))
	}
	if given != "" {
		return given, true
	}
	dir := env.Getenv("XDG_CONFIG_HOME")
	if dir == "" || !filepath.IsAbs(dir) {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", false // there is no home, and so no configuration
		}
	}
	return filepath.Join(dir, env.Program, "config.yaml"), false
}

// readConfiguration reads the file. If it is not there and need not be, it is empty.
func readConfiguration(env Env, given string, write bool) (*configuration, error) {
	path, must := configurationPath(env, given)
	c := &configuration{path: path, root: &yaml.Node{Kind: yaml.MappingNode}, contexts: map[string]map[string]string{}}
	if path == "" {
		return c, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && (write || !must) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the configuration: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s: others can write it, and so choose where tokens are sent: chmod 600 %[1]s", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxConfiguration+1))
	if err == nil && len(text) > maxConfiguration {
		err = fmt.Errorf("%s has more than %d MiB", path, maxConfiguration>>20)
	}
	if err != nil {
		return nil, err
	}
	return c, c.parse(text)
}

func (c *configuration) parse(text []byte) error {
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return err
	}
	var document yaml.Node
	err = loader.Load(&document)
	var failed *yaml.LoadError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &failed):
		return fmt.Errorf("%s:%d:%d: it can't be read as YAML: %s", c.path, max(failed.Mark.Line, 1), max(failed.Mark.Column, 1), failed.Message)
	case err != nil:
		return fmt.Errorf("%s: %w", c.path, err)
	}
	c.root = document.Content[0]
	if c.root.ShortTag() == "!!null" {
		c.root = &yaml.Node{Kind: yaml.MappingNode}
	}
	return c.mapping(c.root, "current and contexts", func(key, value *yaml.Node) error {
		switch key.Value {
		case "current":
			c.current = value.Value
			return c.scalar(key, value)
		case "contexts":
			return c.mapping(value, "names of contexts", func(key, value *yaml.Node) error {
				c.names = append(c.names, key.Value)
				one := map[string]string{}
				c.contexts[key.Value] = one
				return c.mapping(value, "flags of the context "+key.Value, func(key, value *yaml.Node) error {
					if !isContextKey(key.Value) {
						return c.errorf(key, "unknown key %q: want one of %s", key.Value, contextKeyNames())
					}
					one[key.Value] = value.Value
					if key.Value == "insecure" && value.Value != "true" && value.Value != "false" {
						return c.errorf(value, "insecure: want true or false")
					}
					return c.scalar(key, value)
				})
			})
		}
		return c.errorf(key, "unknown key %q: want current or contexts", key.Value)
	})
}

func isContextKey(name string) bool {
	return slices.ContainsFunc(contextKeys, func(key struct{ name, usage string }) bool { return key.name == name })
}

func contextKeyNames() string {
	var names []string
	for _, key := range contextKeys {
		names = append(names, key.name)
	}
	return strings.Join(names, ", ")
}

func (c *configuration) errorf(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", c.path, at.Line, at.Column, fmt.Sprintf(format, args...))
}

func (c *configuration) scalar(key, value *yaml.Node) error {
	if value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null" {
		return c.errorf(value, "%s: want one value", key.Value)
	}
	return nil
}

// mapping calls use with the keys and values of a node.
func (c *configuration) mapping(node *yaml.Node, want string, use func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return c.errorf(node, "want lines with the %s", want)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if seen[key.Value] > 0 {
			return c.errorf(key, "%s is in line %d, too: leave out one of them", key.Value, seen[key.Value])
		}
		seen[key.Value] = key.Line
		if err := use(key, node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// choose returns a context by its name, or the current one, or nil if there is none. The
// paths of files in it can be opened.
func (c *configuration) choose(name string) (map[string]string, error) {
	if name == "" {
		name = c.current
	}
	if name == "" {
		return nil, nil
	}
	chosen, ok := c.contexts[name]
	if !ok {
		switch {
		case c.path == "":
			return nil, fmt.Errorf("no context %q: there is no configuration", name)
		case len(c.names) == 0:
			return nil, fmt.Errorf("no context %q: %s has none; context set NAME --addr HOST:PORT makes one", name, c.path)
		}
		return nil, fmt.Errorf("no context %q in %s; it has: %s", name, c.path, strings.Join(c.names, ", "))
	}
	found := map[string]string{}
	for key, value := range chosen {
		if isFile(key) && value != "" && !filepath.IsAbs(value) {
			value = filepath.Join(filepath.Dir(c.path), value)
		}
		found[key] = value
	}
	return found, nil
}

func contextFlags(c Command, env Env, set *flag.FlagSet) added {
	var name, path string
	names := []string{c.free("context"), c.free("config")}
	set.StringVar(&name, names[0], env.Getenv(variable(env.Program, "CONTEXT")), "`CONTEXT` of the configuration (default $"+variable(env.Program, "CONTEXT")+", or else the current one)")
	set.StringVar(&path, names[1], "", "`FILE` with contexts (default $"+variable(env.Program, "CONFIG")+")")
	return added{
		title: "Configuration", names: names,
		parsed: func(p *parsed) error {
			config, err := readConfiguration(env, path, false)
			if err != nil {
				return err
			}
			chosen, err := config.choose(name)
			if err != nil || chosen == nil {
				return err
			}
			given := map[string]bool{}
			set.Visit(func(f *flag.Flag) { given[f.Name] = true })
			p.apply(chosen, given, env)
			return nil
		},
		values: func(env Env, flag string) []string {
			if flag != names[0] {
				return nil
			}
			config, err := readConfiguration(env, path, false)
			if err != nil {
				return nil
			}
			return config.plainNames()
		},
	}
}

// apply sets what a context has and neither flags nor variables give.
func (p *parsed) apply(chosen map[string]string, given map[string]bool, env Env) {
	names := p.access.names
	elsewhere := given["addr"] || env.Getenv(variable(env.Program, "ADDR")) != ""
	if addr := chosen["addr"]; addr != "" && !elsewhere {
		p.addr = addr
	}
	mine := !elsewhere || p.addr == chosen["addr"] // tokens go to nobody else
	if !given["insecure"] && !given["ca"] && mine {
		p.insecure, p.ca = chosen["insecure"] == "true", chosen["ca"]
	}
	if mine && !p.access.fileGiven && env.Getenv(variable(env.Program, "TOKEN_FILE")) == "" && chosen["token-file"] != "" {
		p.access.tokenFile = chosen["token-file"]
	}
	if mine && !given[names.cert] && !given[names.key] && !given["insecure"] {
		p.access.cert, p.access.key = chosen["tls-cert"], chosen["tls-key"]
	}
}

const contextUsage = `Usage: PROGRAM context list                      lists the contexts, with * before the current one
       PROGRAM context show [NAME]               prints one, or the current one
       PROGRAM context use NAME                  makes one the current one
       PROGRAM context set NAME [flags]          makes or changes one; --FLAG= removes what it has
       PROGRAM context delete NAME               removes one

Flags of all of them:
  --config FILE
        with the contexts (default $VARIABLE, or else config.yaml in the folder
        PROGRAM of the user's configuration)

Flags of set:
`

func contextCommand(_ context.Context, env Env, _ []Command, args []string) error {
	if len(args) == 0 || slices.Contains(builtin, args[0]) {
		var text strings.Builder
		text.WriteString(strings.NewReplacer("PROGRAM", env.Program, "VARIABLE", variable(env.Program, "CONFIG")).Replace(contextUsage))
		for _, key := range contextKeys {
			set := flag.NewFlagSet("", flag.ContinueOnError)
			set.String(key.name, "", key.usage)
			value, usage := flag.UnquoteUsage(set.Lookup(key.name))
			if !strings.Contains(key.usage, "`") {
				value = ""
			}
			describe(&text, key.name, value, usage)
		}
		return write(env.Stdout, text.String())
	}
	misused := func(err error) error {
		return exit{fmt.Errorf("%w (run '%s help context')", err, env.Program), exitMisused}
	}
	verb, rest := args[0], args[1:]
	set := flag.NewFlagSet("context", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	path := set.String("config", "", "")
	asJSON := set.Bool("json", false, "")
	values := map[string]string{}
	for _, key := range contextKeys {
		if verb != "set" {
			break
		}
		if key.name == "insecure" {
			set.BoolFunc(key.name, "", func(text string) error {
				allowed, err := strconv.ParseBool(text)
				if err != nil && text != "" {
					return errors.New("want true or false")
				}
				values[key.name] = strconv.FormatBool(allowed)
				return nil
			})
		} else {
			set.Func(key.name, "", func(text string) error { values[key.name] = text; return nil })
		}
	}
	var names []string
	for { // flags may come before and after the name
		if err := set.Parse(rest); err != nil {
			return misused(err)
		}
		if set.NArg() == 0 {
			break
		}
		names, rest = append(names, set.Arg(0)), set.Args()[1:]
	}
	least, most := 1, 1
	switch verb {
	case "list":
		least, most = 0, 0
	case "show":
		least = 0
	case "use", "set", "delete":
	default:
		return misused(fmt.Errorf("context has no %q: want list, show, use, set or delete", verb))
	}
	if len(names) < least || len(names) > most {
		return misused(fmt.Errorf("context %s: want one name", verb))
	}
	config, err := readConfiguration(env, *path, verb == "set")
	if err != nil {
		return err
	}
	name := config.current
	if len(names) > 0 {
		name = names[0]
	}
	switch verb {
	case "list":
		return config.list(env, *asJSON)
	case "set":
		return config.set(name, values)
	}
	if config.contexts[name] == nil {
		if name == "" {
			return errors.New("no context is the current one: make one by context set NAME --addr HOST:PORT, and context use NAME")
		}
		_, err := config.choose(name)
		return err
	}
	switch verb {
	case "show":
		return config.show(env, name, *asJSON)
	case "use":
		setKey(config.root, "current", scalarNode(name))
	case "delete":
		removeKey(valueAt(config.root, "contexts"), name)
		if config.current == name {
			removeKey(config.root, "current")
		}
	}
	return config.save()
}

func completeContext(env Env, before []string) []string {
	switch {
	case len(before) == 0:
		return []string{"list", "show", "use", "set", "delete"}
	case len(before) == 1 && before[0] != "list":
		config, err := readConfiguration(env, "", false)
		if err != nil {
			return nil
		}
		return config.plainNames()
	case before[0] == "set":
		var flags []string
		for _, key := range contextKeys {
			flags = append(flags, "--"+key.name)
		}
		return flags
	}
	return nil
}

// plainNames returns the names that a terminal can show, one in a line.
func (c *configuration) plainNames() (plain []string) {
	for _, name := range c.names {
		if terminal.Text(name) == name {
			plain = append(plain, name)
		}
	}
	return plain
}

func (c *configuration) list(env Env, asJSON bool) error {
	if asJSON {
		all := struct {
			Current  string                       `json:"current"`
			Contexts map[string]map[string]string `json:"contexts"`
		}{c.current, c.contexts}
		text, err := json.Marshal(all)
		if err != nil {
			return err
		}
		return write(env.Stdout, string(terminal.JSON(text))+"\n")
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "\tNAME\tADDR\n")
	for _, name := range c.names {
		mark := ""
		if name == c.current {
			mark = "*"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", mark, terminal.Text(name), terminal.Text(c.contexts[name]["addr"]))
	}
	table.Flush()
	return write(env.Stdout, text.String())
}

func (c *configuration) show(env Env, name string, asJSON bool) error {
	if asJSON {
		text, err := json.Marshal(c.contexts[name])
		if err != nil {
			return err
		}
		return write(env.Stdout, string(terminal.JSON(text))+"\n")
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s:\n", terminal.Text(name))
	for _, key := range contextKeys {
		if value := c.contexts[name][key.name]; value != "" {
			fmt.Fprintf(&text, "  %s: %s\n", key.name, terminal.Text(value))
		}
	}
	return write(env.Stdout, text.String())
}

// set changes a context, or makes it. The first one is the current one.
func (c *configuration) set(name string, values map[string]string) error {
	if strings.TrimSpace(name) != name || name == "" || strings.HasPrefix(name, "-") || terminal.Text(name) != name {
		return exit{fmt.Errorf("%q can't be the name of a context", name), exitMisused}
	}
	was := c.contexts[name]
	if was == nil && values["addr"] == "" {
		return exit{fmt.Errorf("the new context %q needs --addr", name), exitMisused}
	}
	after := func(key string) string {
		if value, ok := values[key]; ok {
			return value
		}
		return was[key]
	}
	switch {
	case (after("tls-cert") == "") != (after("tls-key") == ""):
		return exit{errors.New("--tls-cert and --tls-key belong together: give both"), exitMisused}
	case after("insecure") == "true" && after("ca")+after("tls-cert") != "":
		return exit{errors.New("--insecure excludes --ca and --tls-cert"), exitMisused}
	}
	contexts := valueAt(c.root, "contexts")
	if contexts == nil {
		contexts = &yaml.Node{Kind: yaml.MappingNode}
		setKey(c.root, "contexts", contexts)
	}
	one := valueAt(contexts, name)
	if one == nil {
		one = &yaml.Node{Kind: yaml.MappingNode}
		setKey(contexts, name, one)
	}
	for _, key := range contextKeys {
		value, ok := values[key.name]
		switch {
		case !ok:
			continue
		case value == "" || key.name == "insecure" && value == "false":
			removeKey(one, key.name)
			continue
		case isFile(key.name):
			absolute, err := filepath.Abs(value) // it is relative to where the command runs
			if err != nil {
				return err
			}
			value = absolute
		}
		node := scalarNode(value)
		if key.name == "insecure" {
			node.Tag = ""
		}
		setKey(one, key.name, node)
	}
	if c.current == "" {
		setKey(c.root, "current", scalarNode(name))
	}
	return c.save()
}

func scalarNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func valueAt(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; mapping != nil && i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func setKey(mapping *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content[i+1] = value
			return
		}
	}
	mapping.Content = append(mapping.Content, scalarNode(key), value)
}

func removeKey(mapping *yaml.Node, key string) {
	for i := 0; mapping != nil && i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = slices.Delete(mapping.Content, i, i+2)
			return
		}
	}
}

// save writes the file, which only its owner can read.
func (c *configuration) save() error {
	if c.path == "" {
		return errors.New("there is no folder for the configuration: name a file with --config")
	}
	text, err := yaml.Dump(c.root, yaml.WithLineWidth(-1))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	path := c.path
	if target, err := filepath.EvalSymlinks(path); err == nil { // it may be kept elsewhere
		path = target
	}
	return saveFile(path, text)
}
