//runtime:with eventlog

package servertest

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// place is a line of code.
type place struct {
	file string
	line int
}

// String returns the place as the beginning of a message, from the folder of the test on.
func (p place) String() string {
	if p.file == "" {
		return ""
	}
	file := p.file
	if folder, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(folder, file); err == nil && !strings.HasPrefix(relative, "..") {
			file = relative
		}
	}
	return fmt.Sprintf("%s:%d: ", file, p.line)
}

// caller returns where the code of the service is that calls this package: the last
// before the packages of the runtime.
func caller() (at place) {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if isService(frame.Function) {
			return place{frame.File, frame.Line}
		}
		if !more {
			return place{}
		}
	}
}

// here returns the import path of the module that is tested, and of the packages of the
// runtime.
var here = sync.OnceValues(func() (module, runtimePackages string) {
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Path
	}
	function, _, _, _ := runtime.Caller(0)
	return module, path.Dir(packageOf(runtime.FuncForPC(function).Name()))
})

// isService reports whether a function is one of the module that is tested, and was not
// generated.
func isService(function string) bool {
	module, runtimePackages := here()
	pkg := packageOf(function)
	switch {
	case module == "" || pkg != module && !strings.HasPrefix(pkg, module+"/"):
		return false
	case strings.HasSuffix(pkg, "_test"): // also those of the runtime
		return true
	}
	return !strings.HasPrefix(pkg, runtimePackages+"/") && !strings.Contains(function, "events.(*Log).")
}

// watch looks for goroutines that a handler begins. What it returns is called when the
// handler has returned, in the same goroutine.
func (r *running) watch(position eventlog.Position) (ended func()) {
	if r.leftovers == nil {
		return func() {}
	}
	before := begunHere()
	return func() {
		for id, function := range begunHere() {
			if _, known := before[id]; !known {
				r.leaves(function, position)
			}
		}
	}
}

// leaves notes that a goroutine runs on after the handler of an event. One that is begun
// only once may do so.
func (r *running) leaves(function string, position eventlog.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leftovers[function] == nil {
		r.leftovers[function] = map[eventlog.Position]bool{}
	}
	if r.leftovers[function][position] = true; len(r.leftovers[function]) > 1 {
		r.note("handlers return before the goroutines have ended that %s starts: the event counts as handled then, and is lost if its goroutine fails", function)
	}
}

// begunHere returns the goroutines that this one has begun for functions of the service:
// the function that began each, or that it runs, by their ids.
func begunHere() map[string]string {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 2)
	all := strings.Split(profile.String(), "\n\n")
	begun := map[string]string{}
	self, _, _ := strings.Cut(all[0], " [") // "goroutine 12", which is the one that asks
	for _, stack := range all[1:] {
		// goroutine 34 [runnable]:
		// example.com/orders/internal/orders.(*Service).send(0xc000012345)
		//	/home/…/send.go:12 +0x4c
		// created by example.com/orders/internal/orders.(*Service).stored in goroutine 12
		//	/home/…/consume.go:40 +0x87
		if !strings.Contains(stack, " in "+self+"\n") {
			continue
		}
		id, _, _ := strings.Cut(stack, " [")
		for line := range strings.Lines(stack) {
			function, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "created by "), " in ")
			if i := strings.LastIndex(function, "("); i > 0 && strings.HasSuffix(function, ")") {
				function = function[:i] // without its arguments
			}
			if isService(function) {
				begun[id] = path.Base(function)
			}
		}
	}
	return begun
}

// oneAtATime lets one goroutine run at a time, until what it returns is called: so one
// that a handler begins has not ended when the handler returns, unless that waits for it.
func oneAtATime() (end func()) {
	processors.Lock()
	before := runtime.GOMAXPROCS(1)
	return func() {
		runtime.GOMAXPROCS(before)
		processors.Unlock()
	}
}

// processors is held while their number is another one.
var processors sync.Mutex
