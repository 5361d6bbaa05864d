package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"
)

// Shell reads queries and answers them, until the input ends. On a terminal they can be
// edited, and those of before, also of earlier shells, are found with the arrow up: they
// are kept in a file that is named, in the folder of the user's caches. An error of a
// query is printed, and the next one can be given; without a terminal it is the end.
func (s *Session) Shell(ctx context.Context, in *os.File, history string) error {
	if !term.IsTerminal(int(in.Fd())) {
		return s.script(ctx, in)
	}
	lines, err := openHistory(history)
	if err != nil {
		fmt.Fprintln(s.Notes, "queries are not remembered:", err)
	}
	defer lines.close()
	fmt.Fprintf(s.Out, "Views: %s. .help prints what there is beside SQL.\n", strings.Join(s.names(), ", "))
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, s.Out}, "")
	terminal.History = lines
	return s.prompt(ctx, func(prompt string) (string, error) {
		// Only while a line is edited: in a query Ctrl-C is a signal.
		before, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return "", err
		}
		defer func() { _ = term.Restore(int(in.Fd()), before) }()
		if width, height, err := term.GetSize(int(in.Fd())); err == nil && width > 0 {
			_ = terminal.SetSize(width, height)
		}
		terminal.SetPrompt(prompt)
		return terminal.ReadLine()
	})
}

// prompt answers the queries that lines have, until there are no more.
func (s *Session) prompt(ctx context.Context, line func(prompt string) (string, error)) error {
	query := ""
	for {
		prompt := "events> "
		if query != "" {
			prompt = "   ...> "
		}
		text, err := line(prompt)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			return err
		}
		query += text + "\n"
		dotted := strings.HasPrefix(strings.TrimSpace(query), ".")
		switch {
		case strings.TrimSpace(query) == "":
			query = ""
			continue
		case dotted && strings.TrimSpace(query) == ".quit":
			return nil
		case !dotted && !isWhole(query):
			continue
		}
		begin := time.Now()
		err = s.interruptible(ctx, strings.TrimSpace(query))
		switch {
		case err != nil:
			fmt.Fprintln(s.Notes, err)
		case !dotted:
			fmt.Fprintln(s.Notes, "("+took(begin)+")")
		}
		query = ""
	}
}

// isWhole reports whether a text ends with the end of a query, or with a comment after it.
func isWhole(text string) bool {
	queries, rest := split(text)
	return len(queries) > 0 && (rest == "" || strings.HasPrefix(rest, "--") && !strings.Contains(rest, "\n"))
}

// interruptible runs a query that ends at an interrupt.
func (s *Session) interruptible(ctx context.Context, query string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	err := s.Run(ctx, query)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// script answers the queries of a text.
func (s *Session) script(ctx context.Context, in io.Reader) error {
	query := ""
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		query += lines.Text() + "\n"
		if !isWhole(query) && !strings.HasPrefix(strings.TrimSpace(query), ".") {
			continue
		}
		if err := s.Run(ctx, strings.TrimSpace(query)); err != nil {
			return err
		}
		query = ""
	}
	if strings.TrimSpace(query) != "" && lines.Err() == nil {
		return s.Run(ctx, strings.TrimSpace(query))
	}
	return lines.Err()
}

// historyLines is how many lines of a history are remembered.
const historyLines = 1000

// history is the lines that were entered, the last one first, and the file that keeps them.
type history struct {
	lines []string // the oldest first
	file  *os.File // nil: they are not kept
}

// openHistory opens the history with a name. If it can't, the history is that of this shell
// alone.
func openHistory(name string) (*history, error) {
	h := &history{}
	dir, err := os.UserCacheDir()
	if err != nil {
		return h, err
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return h, err
	}
	kept, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return h, err
	}
	for line := range strings.Lines(string(kept)) {
		h.remember(strings.TrimSuffix(line, "\n"))
	}
	mode := os.O_APPEND
	if len(kept) > 1<<20 {
		mode = os.O_TRUNC
	}
	if h.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|mode, 0o600); err != nil {
		return h, err
	}
	if mode == os.O_TRUNC {
		_, err = h.file.WriteString(strings.Join(h.lines, "\n") + "\n")
	}
	return h, err
}

func (h *history) remember(line string) {
	if len(h.lines) > 0 && h.lines[len(h.lines)-1] == line || strings.TrimSpace(line) == "" {
		return
	}
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-historyLines):]
}

// Add implements [term.History].
func (h *history) Add(line string) {
	h.remember(line)
	if h.file != nil {
		_, _ = h.file.WriteString(line + "\n") // the shell goes on without
	}
}

// Len implements [term.History].
func (h *history) Len() int { return len(h.lines) }

// At implements [term.History].
func (h *history) At(index int) string { return h.lines[len(h.lines)-1-index] }

func (h *history) close() {
	if h.file != nil {
		_ = h.file.Close()
	}
}
