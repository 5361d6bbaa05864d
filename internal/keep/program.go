package keep

import (
	"bytes"
	"path"
	"slices"
)

// strand takes back the files of ours that belong to a program without a func
// main, neither on disk nor by this run: its owner has deleted it, and what is
// left would not build.
func (m *Module) strand(outputs []Output, decisions []decision) {
	for i, d := range decisions {
		if d.writes() && outputs[i].isGo() && ofProgram(d.content) && bytes.Contains(d.content, []byte("\nfunc main() {")) {
			m.mains[path.Dir(outputs[i].Path)] = true
		}
	}
	for i, d := range decisions {
		if d.writes() && outputs[i].Owner == Ours && outputs[i].isGo() && ofProgram(d.content) && !m.hasMain(path.Dir(outputs[i].Path)) {
			decisions[i] = decision{}
			m.stranded[outputs[i].Path] = true
		}
	}
}

// ofProgram reports whether a Go file is of a package main.
func ofProgram(content []byte) bool {
	return bytes.HasPrefix(content, []byte("package main\n")) || bytes.Contains(content, []byte("\npackage main\n"))
}

// hasMain reports whether a folder has a func main: of yours on disk, or by this
// run. Where that can't be read it is taken to be there.
func (m *Module) hasMain(dir string) bool {
	there := m.folder(dir)
	return m.mains[dir] || there.err != nil ||
		slices.ContainsFunc(there.files, func(file *goFile) bool { return !file.test && !file.ours && file.names()["main"] })
}
