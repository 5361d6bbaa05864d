package console

import (
	"context"
	"os"
	"slices"
	"strconv"
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
	var watched, alone []float64
	var watchedMost, aloneMost []time.Duration
	s.load(t, time.Second) // warm up
	b := browse(t)
	b.screen(1280, "light")
	for range turns {
		b.do(chromedp.Navigate("about:blank"))
		stored, took := s.load(t, lasts)
		alone, aloneMost = append(alone, float64(stored)/lasts.Seconds()), append(aloneMost, took[len(took)*99/100])
		b.open(s, "events")
		stored, took = s.load(t, lasts)
		watched, watchedMost = append(watched, float64(stored)/lasts.Seconds()), append(watchedMost, took[len(took)*99/100])
		b.await(`parseFloat(document.querySelector("#rate").textContent.replaceAll(",", "")) >= 0 && document.querySelectorAll("#events tbody tr").length > 50`)
		b.await(`document.querySelector("#left").textContent.includes("left out")`)
	}
	b.picture("load")
	middle := func(all []float64) float64 { slices.Sort(all); return all[len(all)/2] }
	slices.Sort(watchedMost)
	slices.Sort(aloneMost)
	ratio := middle(watched) / middle(alone)
	t.Logf("%d turns of %s, %d events a second offered: stored %.0f a second alone, %.0f with a browser (%.3f); 99 of 100 calls within %s alone, %s with a browser",
		turns, lasts, offered, middle(alone), middle(watched), ratio, aloneMost[len(aloneMost)/2].Round(100*time.Microsecond), watchedMost[len(watchedMost)/2].Round(100*time.Microsecond))
	if os.Getenv("CONSOLE_LOAD") != "" && ratio < 0.95 {
		t.Errorf("with a browser %.1f %% fewer events are stored, want at most 5 %%", 100*(1-ratio))
	}
}
