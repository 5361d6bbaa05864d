package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
)

// The goals of ours, as ratios to protoc-gen-go-grpc.
const (
	goalEmpty       = 1.5  // wall time into an empty module
	goalPerMegabyte = 0.5  // the same for each megabyte written
	goalOver        = 1.1  // wall time into a module that has the files
	goalMemory      = 1.25 // peak memory
	goalOfEmpty     = 1.0  // the second to the first of these wall times
)

// compare measures all plugins on one request. It measures ours twice: in an empty
// module, and in a module that has the files already.
func (b bench) compare(services, rounds int) error {
	requests, err := b.requests(services)
	if err != nil {
		return err
	}
	empty, err := b.emptyModule()
	if err != nil {
		return err
	}
	full, err := b.emptyModule()
	if err != nil {
		return err
	}
	var scenes []*scene
	for _, p := range plugins {
		s := &scene{plugin: p, request: filepath.Join(requests, p.name), module: empty}
		scenes = append(scenes, s)
		var dirs []string
		if p == ours {
			dirs = []string{full}
		}
		if err := b.prepare(s, dirs...); err != nil {
			return err
		}
	}
	again := &scene{plugin: ours, request: filepath.Join(requests, ours.name), module: full}
	if err := b.prepare(again); err != nil {
		return err
	}
	scenes = append(scenes, again)
	if err := b.rounds(rounds, scenes); err != nil {
		return err
	}
	fmt.Printf("%d services, %d %% of the RPCs streaming, medians of %d rounds on %d cores.\n", services, streaming, rounds, runtime.NumCPU())
	fmt.Print("Ratios are to protoc-gen-go-grpc; in brackets the most that ours should be.\n\n")
	return print(scenes)
}

// print prints the scenes. The others are compared with the first, and the last two
// are ours.
func print(scenes []*scene) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\twall\tCPU\tmemory\tfiles\twritten\twall ×\twall/MB ×\tCPU ×\tmemory ×\t")
	base := scenes[0]
	for i, s := range scenes {
		name, wall, perMegabyte, memory := s.plugin.name, "", "", ""
		switch i {
		case len(scenes) - 2:
			name += ", empty module"
			wall, perMegabyte, memory = goal(goalEmpty), goal(goalPerMegabyte), goal(goalMemory)
		case len(scenes) - 1:
			name += ", again"
			wall, memory = goal(goalOver), goal(goalMemory)
		}
		took, baseTook := s.median(), base.median()
		times := float64(took.wall) / float64(baseTook.wall)
		fmt.Fprintf(table, "%s\t%.0f ms\t%.0f ms\t%.0f MB\t%d\t%.1f MB\t%.2f%s\t%.2f%s\t%.2f\t%.2f%s\t\n", name,
			took.wall.Seconds()*1e3, took.cpu.Seconds()*1e3, float64(took.memory)/1e6, s.written.files, s.written.megabytes(),
			times, wall, times/s.written.megabytes()*base.written.megabytes(), perMegabyte,
			float64(took.cpu)/float64(baseTook.cpu), float64(took.memory)/float64(baseTook.memory), memory)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	empty, over := scenes[len(scenes)-2].median(), scenes[len(scenes)-1].median()
	_, err := fmt.Printf("\nIn a module that has the %d files, half of them yours, a run takes %.2f of the wall time in the empty module%s.\n",
		scenes[len(scenes)-2].written.files, over.wall.Seconds()/empty.wall.Seconds(), goal(goalOfEmpty))
	return err
}

func goal(most float64) string { return fmt.Sprintf(" (%.2f)", most) }
