package keep

import (
	"bytes"
	"io/fs"
	"path"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// RuntimeMentions returns the packages and files of the runtime that any Go file below
// the module's root may use, by their paths below it, and whether all could be read. It
// looks much further than [Module.Leftovers] does, since it is asked before packages
// are dropped: into nested modules, folders that the Go command passes over and
// links, and also at comments. Files that this run writes or deletes are left out.
//
// used returns the optional files of the runtime that the text of a Go file may use.
func (m *Module) RuntimeMentions(leftovers []File, used func(text []byte) []string) (mentioned []string, complete bool) {
	s := mentions{module: m, skip: map[string]bool{}, seen: map[string]bool{}, used: used, complete: true}
	for _, file := range leftovers {
		s.skip[file.Path] = true
	}
	s.folder(".")
	return s.mentioned, s.complete
}

type mentions struct {
	module    *Module
	skip      map[string]bool
	seen      map[string]bool // folders, as they really are: links may lead in circles
	used      func([]byte) []string
	mentioned []string
	complete  bool
}

// folder looks through a folder and all below it.
func (s *mentions) folder(dir string) {
	root, err := s.module.open()
	if err != nil {
		s.complete = false
		return
	}
	real, err := root.Resolve(dir)
	if err != nil || s.seen[real] {
		return // a link that leads out of the module is passed over
	}
	s.seen[real] = true
	entries, err := root.List(real)
	if err != nil {
		s.complete = false
		return
	}
	for _, entry := range entries {
		at := path.Join(dir, entry.Name())
		info, err := root.Stat(at)
		switch {
		case err != nil || entry.Name() == ".git":
		case info.IsDir():
			s.folder(at)
		case info.Mode().IsRegular() && path.Ext(at) == ".go" && !s.skip[at] && !s.module.written[at]:
			s.file(at, info)
		}
	}
}

// maxSource is the most bytes of a file that is taken for source code.
const maxSource = 64 << 20

// file looks at a Go file.
func (s *mentions) file(at string, info fs.FileInfo) {
	if info.Size() > maxSource {
		return
	}
	text, err := s.module.read(at)
	if err != nil {
		s.complete = false
		return
	}
	if strings.HasPrefix(at, model.RuntimeDir+"/") && Marked(at, text) {
		return
	}
	prefix := []byte(s.module.path + "/" + model.RuntimeDir + "/")
	if !bytes.Contains(text, prefix) {
		return
	}
	s.mentioned = append(s.mentioned, s.used(text)...)
	for rest := text; ; {
		_, after, found := bytes.Cut(rest, prefix)
		if !found {
			return
		}
		end := bytes.IndexFunc(after, func(r rune) bool { return (r < 'a' || r > 'z') && r != '/' })
		if end < 0 {
			end = len(after)
		}
		s.mentioned = append(s.mentioned, strings.TrimSuffix(string(after[:end]), "/"))
		rest = after
	}
}
