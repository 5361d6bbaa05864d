package exactlyonce

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Published is a trial of a publisher: what it says to have published is stored once, and
// in the order of its subject, whatever is killed or cut off.
type Published struct {
	Lane  bool   // whether events go by the lane of a unary RPC, and not in batches
	Log   string // the URL of the event log
	Kills int    // of the sender, of the service, and cuts of the network
}

// Run runs the trial.
func (trial Published) Run(t *testing.T) {
	made := build(t, nil)
	way := "best"
	if trial.Lane {
		way = "lane"
	}
	dir, address := t.TempDir(), freeAddress(t)
	network := newNetwork(t, address)
	service := start(t, Process{Name: "service", Path: made.server, Args: []string{"--addr", address, "--ops-addr", "", "--events", trial.Log, "--log-level", "warn"}})
	sender := start(t, Process{Name: "sender", Path: made.publish, Args: []string{"go", way, dir, network.address}})
	service.shown = &sender.lines

	steps := slices.Repeat([]func(){
		func() { sender.kill(t); sender.start(t) },
		func() { service.kill(t); service.start(t) },
		network.cut,
	}, trial.Kills)
	rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	begin := time.Now()
	for _, step := range steps {
		sender.before = sender.lines.Load()
		sender.works(t)
		time.Sleep(rand.N(40 * time.Millisecond)) // at any point of its work
		step()
	}
	t.Logf("killed sender and service, and cut the network, %d times each, in %v", trial.Kills, time.Since(begin).Round(time.Second))
	sender.before = sender.lines.Load()
	sender.works(t)
	sender.kill(t)
	sender.Args[0] = "drain"
	sender.start(t)
	begin = time.Now()
	sender.works(t)
	t.Logf("what was left is sent within %v", time.Since(begin).Round(time.Millisecond))
	sender.kill(t)
	service.kill(t)

	lines, err := made.list(t, "replay", "--events", trial.Log)
	if err != nil {
		t.Fatal(err)
	}
	trial.compare(t, dir, lines)
}

// compare compares what is stored with what each caller has noted.
func (trial Published) compare(t *testing.T, dir string, lines []line) {
	stored := map[int][]int{} // the numbers of each caller's events, in the order of the log
	for _, line := range lines {
		caller, n := 0, 0
		if _, err := fmt.Sscanf(line.Type, "%d-%d", &caller, &n); err != nil {
			t.Fatalf("%q is stored: %v", line.Type, err)
		}
		stored[caller] = append(stored[caller], n)
	}
	total := 0
	for caller := range 8 {
		published, begun := notes(t, filepath.Join(dir, fmt.Sprint("caller-", caller)))
		total += len(published)
		got := stored[caller]
		if caller%4 == 3 { // these have no order
			slices.Sort(got)
		}
		times := map[int]int{}
		for i, n := range got {
			if times[n]++; i > 0 && n <= got[i-1] {
				t.Errorf("caller %d: %d is stored after %d", caller, n, got[i-1])
			}
			if n > begun {
				t.Errorf("caller %d: %d is stored, and %d was the last", caller, n, begun)
			}
		}
		for _, n := range published {
			if times[n] != 1 {
				t.Errorf("caller %d: %d was published, and is stored %d times", caller, n, times[n])
			}
		}
		if len(published) == 0 {
			t.Errorf("caller %d has published nothing", caller)
		}
	}
	t.Logf("%d events were published for certain, %d are stored", total, len(lines))
}

// notes returns the numbers that a caller has published for certain, and the last that it
// may have published.
func notes(t *testing.T, name string) (published []int, begun int) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		var numbers []int
		for _, word := range words[1:] {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		if words[0] == "begun" {
			begun = numbers[0]
			continue
		}
		for n := numbers[0]; n <= numbers[1]; n++ {
			published = append(published, n)
		}
	}
	return published, begun
}
