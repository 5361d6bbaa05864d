package fuzz

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProtos tries protos that fuzzing once found, because the bytes of a seed mean
// other protos when this package changes. Those whose names begin with theirs are not
// Go even without our code; with -strict they must be refused.
func TestProtos(t *testing.T) {
	all, err := filepath.Glob("testdata/protos/*.txt")
	if err != nil || len(all) == 0 {
		t.Fatal(err, all)
	}
	for _, name := range all {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in, err := parseInput(string(text))
			if err != nil {
				t.Fatal(err)
			}
			o := tryIn(t, in, t.TempDir())
			if o.skipped != "" {
				t.Errorf("it does not compile: %s", o.skipped)
			}
			if len(o.faults) > 0 || *strict && len(o.theirs) > 0 {
				t.Error(o)
			}
		})
	}
}

var (
	headLine = regexp.MustCompile(`^module (\S+), (\S+), generate \[(.*)\]$`)
	fileLine = regexp.MustCompile(`(?m)^-- (.*) --\n`)
	listed   = regexp.MustCompile(`"([^"]*)"`)
)

// parseInput parses the result of [input.String].
func parseInput(text string) (in input, err error) {
	head, rest, _ := strings.Cut(text, "\n")
	parts := headLine.FindStringSubmatch(head)
	if parts == nil {
		return in, fmt.Errorf("want a first line like %s", headLine)
	}
	in.module, in.parameter = parts[1], parts[2]
	for _, name := range listed.FindAllStringSubmatch(parts[3], -1) {
		in.generate = append(in.generate, name[1])
	}
	at := fileLine.FindAllStringSubmatchIndex(rest, -1)
	for i, one := range at {
		end := len(rest)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		file := &protoFile{name: rest[one[2]:one[3]]}
		file.text.WriteString(rest[one[1]:end])
		in.files = append(in.files, file)
	}
	return in, nil
}
