//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/moduleproxy"
)

// result is what was done with the blocks of a page.
type result struct {
	page     string
	blocks   int // that were run, written or compared; without skipped ones, and output
	commands int
	written  map[string]int // blocks that were written into files, by language
	compared int            // outputs
	skips    []string       // place and reason
	took     time.Duration
}

// machine is what pages are run with.
type machine struct {
	repository string
	programs   string   // a folder with the plugins, buf and nats-server
	env        []string // of a page's commands, without PATH
	limit      time.Duration
	beginnings beginnings
}

// run runs the blocks of a page from top to bottom in a fresh folder, and stops at the
// first that is wrong.
func (m *machine) run(ctx context.Context, p *page) (r result, err error) {
	r = result{page: p.name, written: map[string]int{}}
	begin := time.Now()
	defer func() { r.took = time.Since(begin) }()
	work, err := os.MkdirTemp("", "docs-*")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, moduleproxy.RemoveAll(work)) }()
	if work, err = filepath.EvalSymlinks(work); err != nil {
		return r, err
	}
	folder, state, installed := filepath.Join(work, "page"), filepath.Join(work, "state"), filepath.Join(work, "bin")
	for _, dir := range []string{folder, state, installed} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return r, err
		}
	}
	path := strings.Join([]string{installed, m.programs, os.Getenv("PATH")}, string(os.PathListSeparator))
	env := append(m.env[:len(m.env):len(m.env)], "PATH="+path, "GOBIN="+installed)
	s, err := newShell(p.name, folder, state, env, m.limit)
	if err != nil {
		return r, err
	}
	defer func() { _ = s.stop("") }()
	for i := range p.blocks {
		run := m.block
		if i == 0 {
			run = m.begin
		}
		if err := run(ctx, s, &p.blocks[i], &r); err != nil {
			return r, fmt.Errorf("%w%s", err, s.logs())
		}
	}
	if r.written["go"] > 0 {
		return r, m.vet(ctx, s, p)
	}
	return r, nil
}

// block does what a block says, and counts it.
func (m *machine) block(ctx context.Context, s *shell, b *block, r *result) error {
	if reason, ok := b.attributes["skip"]; ok {
		r.skips = append(r.skips, fmt.Sprintf("%s:%d: %s", b.page, b.line, reason))
		return nil
	}
	for _, needed := range strings.FieldsFunc(b.attributes["needs"], func(c rune) bool { return c == ',' }) {
		if exists(filepath.Join(m.programs, needed)) {
			continue
		}
		if _, err := exec.LookPath(needed); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			return b.errorf("%s is missing, which CI must have", needed)
		}
		r.skips = append(r.skips, fmt.Sprintf("%s:%d: %s is not installed", b.page, b.line, needed))
		return nil
	}
	switch b.kind() {
	case output:
		return nil
	case commands:
		r.blocks++
		n, err := b.statements()
		r.commands += n
		if err != nil {
			return err
		}
		return m.commands(ctx, s, b)
	case console:
		r.blocks++
		n, err := b.statements()
		r.commands += n
		if err != nil {
			return err
		}
		return m.console(ctx, s, b, r)
	}
	r.blocks++
	r.written[b.language]++
	folder, err := s.cwd()
	if err != nil {
		return err
	}
	if inside, err := filepath.Rel(s.folder, folder); err != nil || !filepath.IsLocal(inside) {
		return b.errorf("writes outside the folder of the page, in %s", folder)
	}
	return b.edit(folder, s.env)
}

// stopped ends what a block wants ended before it begins.
func stopped(s *shell, b *block) error {
	name, ok := b.attributes["stop"]
	if !ok {
		return nil
	}
	return b.wrap(s.stop(name))
}

func (m *machine) commands(ctx context.Context, s *shell, b *block) error {
	if err := stopped(s, b); err != nil {
		return err
	}
	if !b.has("background") {
		exit, err := b.exit()
		if err != nil {
			return err
		}
		_, err = s.run(ctx, b.first, strings.Join(b.lines, "\n"), exit)
		return err
	}
	until := "serving"
	if text, ok := b.attributes["until"]; ok {
		until = text
	}
	ready := func(printed string) bool { return strings.Contains(printed, until) }
	return s.start(ctx, b.attributes["background"], b.line, b.first, strings.Join(b.lines, "\n"), ready, strconv.Quote(until))
}

// eventually is for how long a command is run again that prints what it should once the
// consumers of a log have handled what was sent.
const eventually = time.Minute

func (m *machine) console(ctx context.Context, s *shell, b *block, r *result) error {
	steps, err := b.steps()
	if err != nil {
		return err
	}
	if err := stopped(s, b); err != nil {
		return err
	}
	exit, err := b.exit()
	if err != nil {
		return err
	}
	for i, one := range steps {
		if len(one.expected) > 0 {
			r.compared++
		}
		if i < len(steps)-1 || !b.has("background") {
			code := 0
			if i == len(steps)-1 {
				code = exit
			}
			printed, err := m.printed(ctx, s, b, one, code)
			if err != nil {
				return err
			}
			if len(one.expected) > 0 && !matches(one.expected, printed, false) {
				return fmt.Errorf("%s:%d: %s\n  should print\n%s\n  but prints\n%s", b.page, one.line, one.command,
					indented(strings.Join(one.expected, "\n")), indented(printed))
			}
			continue
		}
		ready := func(printed string) bool { return matches(one.expected, printed, true) }
		what := "what it should:\n" + indented(strings.Join(one.expected, "\n")) + "\n "
		if err := s.start(ctx, b.attributes["background"], one.line, one.line, one.command, ready, what); err != nil {
			return err
		}
	}
	return nil
}

// printed returns what a command of a console block prints; with eventually, once that is
// what it should print, or at the end of the time for it.
func (m *machine) printed(ctx context.Context, s *shell, b *block, one step, exit int) (string, error) {
	for until := time.Now().Add(min(m.limit, eventually)); ; time.Sleep(200 * time.Millisecond) {
		printed, err := s.run(ctx, one.line, one.command, exit)
		if err != nil || !b.has("eventually") || len(one.expected) == 0 || matches(one.expected, printed, false) || time.Now().After(until) {
			return printed, err
		}
	}
}

// exit returns the exit code with which a block should end.
func (b *block) exit() (int, error) {
	text, ok := b.attributes["exit"]
	if !ok {
		return 0, nil
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		return 0, b.errorf("exit=%s is not a number", text)
	}
	return code, nil
}

// vet vets the modules that a page has made.
func (m *machine) vet(ctx context.Context, s *shell, p *page) error {
	return filepath.WalkDir(s.folder, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != "go.mod" {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, m.limit)
		defer cancel()
		vet := exec.CommandContext(ctx, "go", "vet", "./...")
		vet.Dir, vet.Env = filepath.Dir(at), s.env
		if output, err := vet.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: go vet of the code of the whole page: %w\n%s", p.name, err, indented(string(output)))
		}
		return nil
	})
}
