package command

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/creack/pty"
)

func TestBar(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	var out bytes.Buffer
	b := newBar(Env{Stderr: &out}, "client: send", 1000, tally{Acknowledged: 100}, 100)
	b.samples[0].at, b.shown = begin, begin
	b.show(begin.Add(time.Second), tally{Acknowledged: 200}, 200) // too soon for a line
	b.show(begin.Add(10*time.Second), tally{Acknowledged: 1_000_100, Refused: 3, Duplicates: 7, Told: true}, 550)
	b.end()
	if want := "client: send: 55 %, 100,000 events/s, 1,000,100 acknowledged, 7 duplicates, 3 refused, ETA 10s\n"; out.String() != want {
		t.Errorf("it prints %q, want %q", out.String(), want)
	}
	out.Reset()
	b.width, b.colour = func() int { return 120 }, true
	b.samples = []sample{{begin, 0, 0}}
	b.show(begin.Add(11*time.Second), tally{Acknowledged: 550, Refused: 3}, 500)
	want := "\r[###############---------------] 50 %, 50 events/s, 550 acknowledged, – duplicates, \x1b[31m3 refused\x1b[0m, ETA 11s\x1b[K"
	if out.String() != want {
		t.Errorf("on a terminal it prints %q, want %q", out.String(), want)
	}
	b.width = func() int { return 20 }
	out.Reset()
	b.show(begin.Add(12*time.Second), tally{Acknowledged: 550}, 500)
	if want := "\r50 %, 45 events/s,…\x1b[K"; out.String() != want {
		t.Errorf("on a narrow terminal it prints %q, want %q", out.String(), want)
	}
}

func TestColourOnlyOnATerminal(t *testing.T) {
	t.Parallel()
	_, terminal, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	getenv := func(variables ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(variables); i += 2 {
				if variables[i] == name {
					return variables[i+1]
				}
			}
			return ""
		}
	}
	for _, test := range []struct {
		file   *os.File
		getenv func(string) string
		want   bool
	}{
		{terminal, getenv(), true},
		{terminal, getenv("NO_COLOR", "1"), false},
		{terminal, getenv("TERM", "dumb"), false},
		{terminal, getenv("CI", "true"), false},
		{file, getenv("CLICOLOR_FORCE", "1"), false},
	} {
		if got := coloured(test.file, test.getenv); got != test.want {
			t.Errorf("%s is coloured: %v", test.file.Name(), got)
		}
	}
	env := Env{Stderr: terminal, Getenv: getenv()}
	if newBar(env, "x", 1, tally{}, 0).width == nil {
		t.Error("a terminal has no bar")
	}
}
