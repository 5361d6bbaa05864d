//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// beginnings are what the first blocks of pages made, by their text. Many pages begin with
// the same commands, which make and build a module: they are run once, and the other pages
// get copies of the files.
type beginnings struct {
	pages map[string]int // how many begin with it
	made  map[string]made
}

// made is what a block has left: in a folder the copies of the page's folder and of its
// programs, and the variables and the folder of its shell, whose paths begin with work.
type made struct {
	work, copies      string
	variables, folder []byte
}

// beginningsOf counts with what pages begin.
func beginningsOf(pages []*page) beginnings {
	found := beginnings{pages: map[string]int{}, made: map[string]made{}}
	for _, p := range pages {
		if len(p.blocks) > 0 && p.blocks[0].kind() == commands && len(p.blocks[0].attributes) == 0 {
			found.pages[p.blocks[0].text()]++
		}
	}
	return found
}

// begin runs the first block of a page, or copies what it made for another page.
func (m *machine) begin(ctx context.Context, s *shell, b *block, r *result) error {
	text := b.text()
	if m.beginnings.pages[text] < 2 {
		return m.block(ctx, s, b, r)
	}
	if before, ok := m.beginnings.made[text]; ok {
		n, err := b.statements()
		r.blocks, r.commands = r.blocks+1, r.commands+n
		return errors.Join(err, s.restore(before))
	}
	if err := m.block(ctx, s, b, r); err != nil {
		return err
	}
	now, err := s.keep(filepath.Dir(m.programs))
	m.beginnings.made[text] = now
	return err
}

// kept are the folders of a page that a block may write to.
var kept = []string{"page", "bin"}

// keep copies what a shell has made into a new folder within another one.
func (s *shell) keep(within string) (m made, err error) {
	m.work = filepath.Dir(s.folder)
	if m.copies, err = os.MkdirTemp(within, "begun-*"); err != nil {
		return made{}, err
	}
	for _, folder := range kept {
		err = errors.Join(err, os.CopyFS(filepath.Join(m.copies, folder), os.DirFS(filepath.Join(m.work, folder))))
	}
	var unread error
	m.variables, unread = os.ReadFile(s.variables())
	err = errors.Join(err, unread)
	m.folder, unread = os.ReadFile(s.current())
	return m, errors.Join(err, unread)
}

// restore copies what another shell had made, with its own folder in place of the other's.
func (s *shell) restore(m made) error {
	work := filepath.Dir(s.folder)
	var err error
	for _, folder := range kept {
		err = errors.Join(err, os.CopyFS(filepath.Join(work, folder), os.DirFS(filepath.Join(m.copies, folder))))
	}
	for at, text := range map[string][]byte{s.variables(): m.variables, s.current(): m.folder} {
		moved := strings.ReplaceAll(string(text), m.work, work)
		err = errors.Join(err, os.WriteFile(at, []byte(moved), 0o600))
	}
	return err
}
