package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestMain does a task of this program if it is started for one. Otherwise a test that
// starts this program would run all tests again.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.NArg() == 0 {
		os.Exit(m.Run())
	}
	if err := run(0, 0, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestRequestsAreAnswered checks that every plugin answers with files and no error.
func TestRequestsAreAnswered(t *testing.T) {
	b := bench{temp: t.TempDir(), bin: filepath.Join(t.TempDir(), "bin")}
	if err := build(b.bin); err != nil {
		t.Fatal(err)
	}
	module, err := b.emptyModule()
	if err != nil {
		t.Fatal(err)
	}
	for _, services := range []int{0, 10} {
		requests := t.TempDir()
		if err := writeRequests(services, requests); err != nil {
			t.Fatal(err)
		}
		for _, p := range plugins {
			t.Run(p.name+"/"+strconv.Itoa(services), func(t *testing.T) {
				took, err := b.run(&scene{plugin: p, request: filepath.Join(requests, p.name), module: module})
				if err != nil {
					t.Fatal(err)
				}
				made, err := readResponse(b.response())
				if err != nil {
					t.Fatal(err)
				}
				if services == 0 && made != (written{}) || services > 0 && (made.files == 0 || made.bytes == 0) {
					t.Errorf("for %d services it writes %+v", services, made)
				}
				if took.wall <= 0 || took.cpu <= 0 || took.memory <= 0 {
					t.Errorf("it took %+v", took)
				}
			})
		}
	}
}

// TestOursWritesWhatGofmtDoes checks it for all kinds of services that are measured.
func TestOursWritesWhatGofmtDoes(t *testing.T) {
	b := bench{temp: t.TempDir(), bin: filepath.Join(t.TempDir(), "bin")}
	if err := build(b.bin); err != nil {
		t.Fatal(err)
	}
	if err := writeRequests(50, b.temp); err != nil {
		t.Fatal(err)
	}
	module, err := b.emptyModule()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.run(&scene{plugin: ours, request: filepath.Join(b.temp, ours.name), module: module}); err != nil {
		t.Fatal(err)
	}
	if _, err := readResponse(b.response(), module); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(module, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(at) != ".go" {
			return err
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		if formatted, err := format.Source(text); err != nil || !bytes.Equal(formatted, text) {
			t.Errorf("%s is not as gofmt would have it (%v)", at, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestExponent(t *testing.T) {
	for _, power := range []float64{0.5, 1, 2} {
		var points []point
		for _, size := range sizes[1:] {
			points = append(points, point{math.Log(float64(size)), math.Log(3 * math.Pow(float64(size), power))})
		}
		if got := exponent(points); math.Abs(got-power) > 1e-9 {
			t.Errorf("the exponent is %v, want %v", got, power)
		}
	}
}
