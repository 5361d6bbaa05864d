package server

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A setting is a text that one of the sources gives for a flag.
type setting struct {
	flag  *flag.Flag
	text  string
	from  string // as --print-config names it, such as config.yaml:3
	label string // as errors name it, such as config.yaml:3: max-calls "0"
}

// settings sets flags from several sources, and notes all that is wrong.
type settings struct {
	program string
	flags   *flag.FlagSet
	config  *flag.Flag           // which names the file, nil if none does
	given   map[string][]setting // by flag, from the source that counts
	wrong   map[string]bool      // flags that were given something they can't be
	names   int                  // how many arguments may be other than flags
	others  []string             // those that are
	errs    []error
}

func newSettings(program string, flags *flag.FlagSet) *settings {
	return &settings{program: program, flags: flags, given: map[string][]setting{}, wrong: map[string]bool{}}
}

// defineConfig defines the flag that names the file.
func (s *settings) defineConfig(usage string) {
	s.flags.String("config", "", usage)
	s.config = s.flags.Lookup("config")
}

func (s *settings) errorf(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

// ParseSubcommand parses the flags of a subcommand, and those that the server has,
// too, which shared names: also from the environment and the file of the
// configuration, as [Parse] does. It adds the flag --config. Before, between and after
// the flags there may be so many names, which are then the Args of flags. The error is
// [flag.ErrHelp] if args ask for help.
func ParseSubcommand(flags *flag.FlagSet, program string, args []string, names int, getenv func(string) string, shared ...string) error {
	s := newSettings(program, flags)
	s.names = names
	s.defineConfig("YAML `file` with the configuration of the server")
	given, err := s.arguments(args)
	if err != nil {
		return err
	}
	isShared := func(name string) bool { return name == "config" || slices.Contains(shared, name) }
	variables := s.environment(getenv, isShared)
	s.apply(s.file(isShared, variables, given), variables, given)
	_ = flags.Parse(append([]string{"--"}, s.others...)) // has no flags
	return errors.Join(s.errs...)
}

// all wants all flags.
func all(string) bool { return true }

// arguments returns what arguments give, which are written as package flag says.
// The error is [flag.ErrHelp] if they ask for help.
func (s *settings) arguments(args []string) (given []setting, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			for _, arg := range args {
				s.unexpected(arg, nil)
			}
			break
		}
		name, text, hasText := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		f := s.flags.Lookup(name)
		switch {
		case !strings.HasPrefix(arg, "-") || arg == "-":
			s.unexpected(arg, given)
			continue
		case f == nil && (name == "h" || name == "help"):
			return nil, flag.ErrHelp
		case f == nil:
			s.errorf("unknown flag --%s: %s", redacted(name), s.suggestion(name, "--"))
			if !hasText && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:] // its value
			}
			continue
		case !hasText && isSwitch(f):
			text = "true"
		case !hasText && len(args) == 0:
			s.errorf("--%s: give a value after it", name)
			s.wrong[name] = true
			continue
		case !hasText:
			text, args = args[0], args[1:]
		}
		given = append(given, setting{f, text, "flag", "--" + name + shown(f, " ", text)})
	}
	return given, nil
}

// unexpected reports an argument that is not a flag, after those that are given, unless
// it is a name.
func (s *settings) unexpected(arg string, given []setting) {
	if len(s.others) < s.names {
		s.others = append(s.others, arg)
		return
	}
	why := fmt.Sprintf("see %s --help", s.flags.Name())
	if last := len(given) - 1; last >= 0 && isSwitch(given[last].flag) {
		why = fmt.Sprintf("a value of --%s is written as --%[1]s=false", given[last].flag.Name)
	}
	s.errorf("unexpected argument %q: %s", redacted(arg), why)
}

// isSwitch reports whether a flag needs no value.
func isSwitch(f *flag.Flag) bool {
	value, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && value.IsBoolFlag()
}

// shown returns the text of a flag in quotes, if it is not secret.
func shown(f *flag.Flag, separator, text string) string {
	if _, ok := f.Value.(*Secret); ok {
		return ""
	}
	return separator + strconv.Quote(redacted(text))
}

// variable returns the name of a flag's environment variable.
func variable(program, flag string) string {
	return strings.ToUpper(strings.ReplaceAll(program+"_"+flag, "-", "_"))
}

// environment returns what the environment gives for the flags that are wanted.
func (s *settings) environment(getenv func(string) string, wanted func(name string) bool) (given []setting) {
	s.flags.VisitAll(func(f *flag.Flag) {
		if !wanted(f.Name) {
			return
		}
		name := variable(s.program, f.Name)
		text, path := getenv(name), ""
		if s.flags.Lookup(f.Name+"-file") == nil { // else this is the variable of that flag
			path = getenv(name + "_FILE")
		}
		switch {
		case f == s.config && path != "":
			s.errorf("%s_FILE: name the file in %[1]s", name)
		case text != "" && path != "":
			s.errorf("%s and %[1]s_FILE are both set: set one of them", name)
			s.wrong[f.Name] = true
		case text != "":
			given = append(given, setting{f, text, name, name + shown(f, "=", text)})
		case path != "":
			label := fmt.Sprintf("%s_FILE: %s", name, redacted(path))
			text, err := readValue(path)
			if err != nil {
				s.errorf("%s: %w", label, err)
				s.wrong[f.Name] = true
				return
			}
			given = append(given, setting{f, text, name + "_FILE", label})
		}
	})
	return given
}

// mostConfiguration bounds what is read of a file, so that a wrong path can't take all
// memory.
const mostConfiguration = 1 << 20

// readValue returns the text in a file, without the end of its line.
func readValue(path string) (string, error) {
	content, err := readFile(path, mostConfiguration)
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if err == nil && text == "" {
		err = errors.New("the file is empty")
	}
	return text, err
}

// readFile reads a file of up to so many bytes. Its errors leave out the path.
func readFile(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(content)) > most {
		return nil, fmt.Errorf("the file is larger than %d MiB", most>>20)
	}
	return content, withoutPath(err)
}

// withoutPath returns the error of a file without its path.
func withoutPath(err error) error {
	if failed := (*os.PathError)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// apply sets the flags from all sources, of which the last counts. Those before are
// tried, too, so that their mistakes are known; but flags that collect what they
// are given, which have no Get, are set by the source that counts only.
func (s *settings) apply(sources ...[]setting) {
	for _, source := range sources {
		for _, setting := range source {
			delete(s.given, setting.flag.Name)
		}
		for _, setting := range source {
			s.given[setting.flag.Name] = append(s.given[setting.flag.Name], setting)
		}
	}
	for _, source := range sources {
		for _, setting := range source {
			if _, ok := setting.flag.Value.(flag.Getter); ok || slices.Contains(s.given[setting.flag.Name], setting) {
				s.set(setting)
			}
		}
	}
}

func (s *settings) set(setting setting) {
	if placeholder, _ := flag.UnquoteUsage(setting.flag); placeholder == "file" && strings.ContainsAny(setting.text, "\r\n") {
		s.contentOfFile(setting)
		return
	}
	if err := s.flags.Set(setting.flag.Name, setting.text); err != nil {
		s.errorf("%s: %s", setting.label, reason(setting, err))
		s.wrong[setting.flag.Name] = true
	}
}

// contentOfFile reports that a flag is set to what is in a file, instead of to its name.
// Later errors would repeat it, and it may be a private key.
func (s *settings) contentOfFile(setting setting) {
	name := setting.flag.Name
	s.wrong[name] = true
	variable, named := strings.CutSuffix(setting.from, "_FILE")
	switch {
	case named:
		s.errorf("%s: what is in it is taken for the name of the file for --%s: name that file in %s, without _FILE", setting.label, name, variable)
	case setting.from == "flag":
		s.errorf("--%s: want the name of a file, not what is in it", name)
	default:
		s.errorf("%s: --%s: want the name of a file, not what is in it", setting.from, name)
	}
}

// reason returns what a flag can be set to, or else why it can't be set.
func reason(s setting, err error) string {
	if getter, ok := s.flag.Value.(flag.Getter); ok {
		switch getter.Get().(type) {
		case bool:
			return "want true or false"
		case int, int64, uint, uint64:
			if _, err := strconv.ParseInt(s.text, 0, 64); errors.Is(err, strconv.ErrRange) {
				return "the number is too large"
			}
			return "want a whole number"
		case float64:
			return "want a number"
		case time.Duration:
			return "want a duration with its unit, such as 10s"
		case *slog.Level:
			return "want debug, info, warn or error"
		}
	}
	instead := redacted(s.text)
	if strings.HasSuffix(s.from, "_FILE") {
		instead = hidden
	}
	return strings.NewReplacer(strconv.Quote(s.text), strconv.Quote(instead), s.text, instead).Replace(err.Error())
}

// named returns how an error names what a flag was set to.
func (s *settings) named(name, text string) string {
	if given := s.given[name]; len(given) > 0 {
		return given[len(given)-1].label
	}
	return fmt.Sprintf("--%s %q", name, text)
}

// suggestion returns the flag that is probably meant by a name there is none of,
// written after a prefix. What that flag is set to is then not known.
func (s *settings) suggestion(name, prefix string) string {
	best, least := "", 1+len(name)/3
	s.flags.VisitAll(func(f *flag.Flag) {
		if prefix == "" && belongsToArguments(f.Name) {
			return
		}
		if changes := distance(plainName(name), plainName(f.Name)); changes < least {
			best, least = f.Name, changes
		}
	})
	if best == "" {
		return fmt.Sprintf("see %s --help", s.flags.Name())
	}
	s.wrong[best] = true
	return "did you mean " + prefix + best + "?"
}

// plainName returns a name without what people write differently.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
}

// distance returns how many bytes must be added, removed or replaced to make one
// name of another.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// belongsToArguments reports whether a flag can't be in a file.
func belongsToArguments(name string) bool { return name == "config" || name == "print-config" }
