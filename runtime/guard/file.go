package guard

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// stored is a key as the file has it.
type stored struct {
	Key
	digest [sha256.Size]byte
}

// keyFile is what is in a file of keys: lines, of which some are keys.
type keyFile struct {
	lines []string
	keys  []stored
	at    map[string]int // the line of a key, by its name
}

const header = `# API keys, one a line, as "keys add" of the server writes them. A server that runs
# reads a change within a second.
`

var (
	keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	word    = regexp.MustCompile(`[^\s"]+("(\\.|[^"\\])*")?`)
	plain   = regexp.MustCompile(`^[\w./:@-]+$`)
)

// mostWrong is how many wrong lines an error names. A file that is something else has
// any number of them.
const mostWrong = 10

// parse reads a file of keys. The error has a line for each of the first lines that are
// wrong, without what is in it, which is nobody's business in a log.
func parse(name string, content []byte) (*keyFile, error) {
	file := &keyFile{at: map[string]int{}}
	digests := map[index]string{}
	var wrong []error
	more := 0
	for line := range strings.Lines(strings.TrimPrefix(string(content), "\ufeff")) { // some editors begin files with that
		file.lines = append(file.lines, strings.TrimRight(line, "\r\n"))
		number := len(file.lines)
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseKey(line)
		switch {
		case err != nil:
		case file.has(key.Name):
			err = fmt.Errorf("there is a key %s in line %d", key.Name, file.at[key.Name]+1)
		case digests[index(key.digest[:])] != "":
			err = fmt.Errorf("the digest is that of %s", digests[index(key.digest[:])])
		}
		if err != nil {
			if len(wrong) < mostWrong {
				wrong = append(wrong, fmt.Errorf("%s:%d: %w", name, number, err))
			} else {
				more++
			}
			continue
		}
		digests[index(key.digest[:])] = key.Name
		file.at[key.Name] = number - 1
		file.keys = append(file.keys, key)
	}
	if more > 0 {
		wrong = append(wrong, fmt.Errorf("%s: %d more lines are wrong", name, more))
	}
	return file, errors.Join(wrong...)
}

func (f *keyFile) has(name string) bool {
	_, ok := f.at[name]
	return ok
}

func (f *keyFile) text() []byte {
	return []byte(strings.Join(f.lines, "\n") + "\n")
}

// parseKey reads a line: the name, the digest, and what the key may do.
func parseKey(line string) (key stored, err error) {
	words := word.FindAllString(line, -1)
	if strings.TrimSpace(word.ReplaceAllString(line, "")) != "" || len(words) < 2 {
		return key, errors.New(`want NAME sha256:DIGEST source=SOURCE`)
	}
	if key.Name = words[0]; !keyName.MatchString(key.Name) {
		return key, errors.New("a name has up to 64 letters, digits, dots, dashes and underscores")
	}
	digest, _ := strings.CutPrefix(words[1], "sha256:")
	if n, err := hex.Decode(key.digest[:], []byte(digest[:min(len(digest), 2*sha256.Size)])); err != nil || n != sha256.Size || len(words[1]) != len("sha256:")+2*sha256.Size {
		return key, errors.New("after the name, want sha256: and 64 hexadecimal digits")
	}
	given := map[string]bool{}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		if given[name] {
			return key, fmt.Errorf("%s is given twice", name)
		}
		given[name] = true
		switch {
		case name == "source":
			key.Source, err = value, nil
			if strings.Contains(value, `"`) {
				key.Source, err = strconv.Unquote(value)
			}
			if err != nil || key.Source == "" {
				return key, errors.New("want a source after source=, in double quotes if it has spaces")
			}
		case name == "added":
			key.Added, err = parseTime(value)
		case name == "expires":
			key.Expires, err = parseTime(value)
		case word == "all-sources":
			key.AllSources = true
		case word == "tails":
			key.Tails = true
		default:
			return key, errors.New("after the digest, want source=SOURCE or all-sources, added=TIME, expires=TIME, tails")
		}
		if err != nil {
			return key, fmt.Errorf("%s: want a time such as 2026-01-31T00:00:00Z", name)
		}
	}
	if key.AllSources == (key.Source != "") {
		return key, errors.New("want either source=SOURCE or all-sources")
	}
	return key, nil
}

func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	return t.UTC(), err
}

// line returns the line of a key.
func (k stored) line() string {
	words := []string{k.Name, "sha256:" + hex.EncodeToString(k.digest[:])}
	switch {
	case k.AllSources:
		words = append(words, "all-sources")
	case plain.MatchString(k.Source):
		words = append(words, "source="+k.Source)
	default:
		words = append(words, "source="+strconv.Quote(k.Source))
	}
	words = append(words, "added="+k.Added.Format(time.RFC3339))
	if !k.Expires.IsZero() {
		words = append(words, "expires="+k.Expires.Format(time.RFC3339))
	}
	if k.Tails {
		words = append(words, "tails")
	}
	return strings.Join(words, "  ")
}

const (
	lockTimeout = 5 * time.Second
	lockRetry   = 5 * time.Millisecond
)

// change changes a file of keys: at once for whoever reads it, and one after the other if
// several commands do. If the file is a link, what that leads to is changed.
func change(name string, edit func(*keyFile) error) (err error) {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	unlock, err := lock(name + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	content, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		content, err = []byte(header), nil
	}
	if err != nil {
		return err
	}
	file, err := parse(name, content)
	if err != nil {
		return err
	}
	if err := edit(file); err != nil {
		return err
	}
	if text := file.text(); !bytes.Equal(text, content) {
		return replace(name, text)
	}
	return nil
}

// lock creates a file that no other command can create as long as it exists.
func lock(name string) (unlock func(), err error) {
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(lockRetry) {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		switch {
		case err == nil:
			file.Close()
			return func() { os.Remove(name) }, nil
		case !errors.Is(err, os.ErrExist):
			return nil, err
		case time.Now().After(deadline):
			return nil, fmt.Errorf("%s exists: another command is changing the keys. If none is, one was killed: delete that file", name)
		}
	}
}

// replace replaces a file by one that is complete, with the same mode and owner.
func replace(name string, content []byte) (err error) {
	next, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			next.Close()
			os.Remove(next.Name())
		}
	}()
	if last, err := os.Stat(name); err == nil {
		if err := keepOwner(next, last); err != nil {
			return fmt.Errorf("%s belongs to another user, and has to: run this as that user (%w)", name, err)
		}
		if err := next.Chmod(last.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := next.Write(content); err != nil {
		return err
	}
	if err := next.Sync(); err != nil {
		return err
	}
	if err := next.Close(); err != nil {
		return err
	}
	if err := os.Rename(next.Name(), name); err != nil {
		return err
	}
	if folder, err := os.Open(filepath.Dir(name)); err == nil {
		_ = folder.Sync() // not everywhere possible
		folder.Close()
	}
	return nil
}
