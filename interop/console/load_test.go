package console

import (
	"context"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/receiver/gen/receiverpb"
	"github.com/chromedp/chromedp"
)

const (
	offered = 5000 // events a second
	callers = 256
)

// load sends events at a steady rate, as they are due, and returns how many were stored, and
// how long calls took from when they were due.
func (s *running) load(t *testing.T, lasts time.Duration) (stored int64, took []time.Duration) {
	due := make(chan time.Time, offered) // a second of them may wait
	var sent atomic.Int64
	var mu sync.Mutex
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			var mine []time.Duration
			for at := range due {
				if _, err := s.client.Receive(context.Background(), &receiverpb.Event{Appid: "load", Xwhat: "load.event", Xwho: "user-" + strconv.FormatInt(sent.Load()%1000, 10)}); err != nil {
					t.Error(err)
					return
				}
				sent.Add(1)
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	const tick = 2 * time.Millisecond
	for begin, n := time.Now(), 0; ; time.Sleep(tick) {
		passed := time.Since(begin)
		if passed >= lasts {
			stored = sent.Load() // what comes later was too late
			break
		}
		for ; float64(n) < passed.Seconds()*offered; n++ {
			select {
			case due <- begin.Add(time.Duration(float64(n) / offered * float64(time.Second))):
			default: // they wait for longer than a second: they are not sent
			}
		}
	}
	close(due)
	group.Wait()
	slices.Sort(took)
	return stored, took
}

// cpu returns how long the server has run on a core; 0 where the system does not say. Unlike
// rates, it hardly depends on what else the machine does.
func (s *running) cpu() time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.process.Pid) + "/stat")
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if err != nil || !ok || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// read reads what the console sends as a browser does, without drawing it, until stop.
func (s *running) read(t *testing.T) (stop func()) {
	t.Helper()
	answer, err := http.Get(s.page + "api/live")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, answer.Body) // until it is closed
	}()
	return func() {
		answer.Body.Close()
		<-ended
	}
}

// TestWatchingSlowsNobodyDown measures ingest of 5,000 events a second with a browser that
// watches, and without, in turns. CONSOLE_LOAD is how many turns there are; a short test has
// one, and only looks that events arrive in the page.
func TestWatchingSlowsNobodyDown(t *testing.T) {
	turns, lasts := 1, time.Second
	if text := os.Getenv("CONSOLE_LOAD"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("CONSOLE_LOAD is %q, want how many turns", text)
		}
		turns, lasts = n, 8*time.Second
	}
	s := startQuiet(t, "sqlite:events.db")
	var watched, alone, readAlone []float64 // a second: with a browser, without, and with one that draws nothing
	var watchedMost, aloneMost []time.Duration
	var watchedCPU, aloneCPU float64 // milliseconds for a thousand events
	costs := func(sum *float64, load func() int) {
		before := s.cpu()
		events := load()
		*sum += float64((s.cpu() - before).Milliseconds()) / float64(events) * 1000 / float64(turns)
	}
	s.load(t, time.Second) // warm up
	b := browse(t, niced(t))
	b.screen(1280, "light")
	for range turns {
		b.do(chromedp.Navigate("about:blank"))
		costs(&aloneCPU, func() int {
			stored, took := s.load(t, lasts)
			alone, aloneMost = append(alone, float64(stored)/lasts.Seconds()), append(aloneMost, took[len(took)*99/100])
			return len(took)
		})
		stop := s.read(t)
		stored, _ := s.load(t, lasts)
		readAlone = append(readAlone, float64(stored)/lasts.Seconds())
		stop()
		b.open(s, "events")
		costs(&watchedCPU, func() int {
			stored, took := s.load(t, lasts)
			watched, watchedMost = append(watched, float64(stored)/lasts.Seconds()), append(watchedMost, took[len(took)*99/100])
			return len(took)
		})
		b.await(`parseFloat(document.querySelector("#rate").textContent.replaceAll(",", "")) >= 0 && document.querySelectorAll("#events tbody tr").length > 20`)
		b.await(`document.querySelector("#left").textContent.includes("left out")`)
	}
	b.picture("load")
	middle := func(all []float64) float64 { slices.Sort(all); return all[len(all)/2] }
	slices.Sort(watchedMost)
	slices.Sort(aloneMost)
	ratio := middle(watched) / middle(alone)
	t.Logf("%d turns of %s, %d events a second offered: stored %.0f a second alone, %.0f with one that reads and draws nothing, %.0f with a browser (%.3f); 99 of 100 calls within %s alone, %s with a browser; the server takes %.0f ms of a core for 1,000 events alone, %.0f ms with a browser",
		turns, lasts, offered, middle(alone), middle(readAlone), middle(watched), ratio, aloneMost[len(aloneMost)/2].Round(100*time.Microsecond), watchedMost[len(watchedMost)/2].Round(100*time.Microsecond),
		aloneCPU, watchedCPU)
	if os.Getenv("CONSOLE_LOAD") != "" && middle(alone) < 0.98*offered {
		t.Skipf("no verdict: this machine stores only %.0f of %d events a second without a browser, so that whatever else runs on it counts; have it do nothing else", middle(alone), offered)
	}
	if os.Getenv("CONSOLE_LOAD") != "" && ratio < 0.95 {
		t.Errorf("with a browser %.1f %% fewer events are stored, want at most 5 %%", 100*(1-ratio))
	}
}
