//go:build unix

package main

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
)

// goals are what the first event should take at most, or 0.
type goals struct {
	commands int
	time     time.Duration
}

// report prints what the commands took, and what it was spent on. The time of processes
// shows how much of that is due to other work of the machine.
func (n *newcomer) report(w io.Writer, goals goals) {
	what := map[string]time.Duration{} // by what was done
	on := map[string]time.Duration{}   // by the tool, and the module on whose package it worked
	var commands, firstCommands int
	var all, cpu, first, firstCPU time.Duration
	fmt.Fprintf(w, "\nseconds  of processes  command\n")
	for i, s := range n.steps {
		if s.edit {
			continue
		}
		commands, all, cpu = commands+1, all+s.took, cpu+s.cpu
		if i < n.first {
			firstCommands, first, firstCPU = commands, all, cpu
		}
		runs, err := readTools(n.tools, s.start, s.start.Add(s.took))
		if err != nil {
			fmt.Fprintln(w, err)
		}
		shares, rest := share(runs, s.start, s.start.Add(s.took))
		of := map[string]time.Duration{s.rest: rest}
		for i, run := range runs {
			of[run.what()] += shares[i]
			on[run.what()+" "+n.origin(run.Package)] += shares[i]
		}
		for doing, took := range of {
			what[doing] += took
		}
		fmt.Fprintf(w, "%7.1f %13.1f  %s (%s)\n", s.took.Seconds(), s.cpu.Seconds(), short(s.what), list(of))
	}
	fmt.Fprintf(w, "%7.1f %13.1f  all %d commands (%s)\n", all.Seconds(), cpu.Seconds(), commands, list(what))
	fmt.Fprintf(w, "most of it: %s\n", list(on))
	if downloads := n.downloads(); len(downloads) > 0 {
		var bytes int64
		for _, size := range downloads {
			bytes += size
		}
		names := slices.SortedFunc(maps.Keys(downloads), func(a, b string) int { return cmp.Compare(downloads[b], downloads[a]) })
		for i, name := range names {
			names[i] = fmt.Sprintf("%s %.1f", name, float64(downloads[name])/1e6)
		}
		fmt.Fprintf(w, "downloaded: %d modules, %.0f MB: %s, …\n", len(names), float64(bytes)/1e6, strings.Join(names[:min(8, len(names))], ", "))
	}
	if n.first == 0 {
		return
	}
	fmt.Fprintf(w, "the first event was acknowledged after %d commands%s and %.1f s%s; without the server, its processes ran for %.1f s\n",
		firstCommands, met(float64(firstCommands), float64(goals.commands)), first.Seconds(), met(first.Seconds(), goals.time.Seconds()), firstCPU.Seconds())
}

// short returns a command that fits into a line.
func short(command string) string {
	if runes := []rune(command); len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return command
}

// met returns whether a figure meets its goal, as a remark.
func met(figure, goal float64) string {
	switch {
	case goal == 0:
		return ""
	case figure <= goal:
		return fmt.Sprintf(" (goal %.0f: met)", goal)
	}
	return fmt.Sprintf(" (goal %.0f: missed)", goal)
}

// list returns up to nine of the longest times, in seconds.
func list(times map[string]time.Duration) string {
	var items []string
	for _, what := range slices.SortedFunc(maps.Keys(times), func(a, b string) int {
		return cmp.Or(cmp.Compare(times[b], times[a]), cmp.Compare(a, b))
	}) {
		if times[what] >= 50*time.Millisecond && len(items) < 9 {
			items = append(items, fmt.Sprintf("%s %.1f", what, times[what].Seconds()))
		}
	}
	return strings.Join(items, ", ")
}

// origin returns where a package comes from.
func (n *newcomer) origin(path string) string {
	first, _, _ := strings.Cut(path, "/")
	switch {
	case strings.HasPrefix(path, "example.com/"):
		return "the module itself"
	case strings.HasPrefix(path, n.proxy.Module):
		return "protoc-gen-receiver"
	case !strings.Contains(first, "."):
		return "the standard library"
	}
	elements := strings.Split(path, "/")
	if first == "github.com" || strings.HasPrefix(path, "golang.org/x/") {
		return strings.Join(elements[:min(3, len(elements))], "/")
	}
	return strings.Join(elements[:min(2, len(elements))], "/")
}

// downloads returns the bytes of each module in a module cache that was empty.
func (n *newcomer) downloads() map[string]int64 {
	sizes := map[string]int64{}
	if n.modules == "" {
		return nil
	}
	cache := filepath.Join(n.modules, "cache", "download")
	_ = filepath.WalkDir(cache, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".zip" {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(cache, filepath.Dir(filepath.Dir(path))) // of …/@v/v1.2.3.zip
		if err != nil {
			return err
		}
		if name, err := module.UnescapePath(filepath.ToSlash(name)); err == nil {
			sizes[name] += info.Size()
		}
		return nil
	})
	return sizes
}
