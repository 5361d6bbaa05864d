package main

// reports are the faults that were reported, in the order of the parts of the
// repository: files, events, modules, the log, replies, the client, consumers, the
// server, the corpus.
var reports = []report{
	// Consumers
	{"a handler that fails", "nothing was logged for 102 s", "a warning at the first failure of each event; stats names the first that fails, its tries and error",
		"runtime/eventlog", "TestFailuresAreReported"},
	{"a consumer has to begin elsewhere, or go", "SQL by hand", "events consumers list, reset, delete",
		"runtime/operate", "TestConsumersAreListedMovedAndDeleted"},
	{"dead letters nobody wants", "SQL by hand", "events dead discard",
		"runtime/operate", "TestDeadLettersAreDiscarded"},
	{"server --help", "did not name events", "names its subcommands",
		"runtime/operate", "TestServersHelpNamesIt"},
	{"a reason of 1 MiB, with NUL or broken UTF-8", "cut in letters, whole in the log", "the same 1024 bytes of text everywhere",
		"runtime/eventlog/sqlite", "TestSQLiteKeepsTheContract/failures"},
	{"errors.New(\"pq: password=…\") in a handler", "Unknown: pq: password=…", "Internal: internal error; the log has the whole",
		"runtime/server", "TestCallersSeeOnlyErrorsMadeForThem"},
	{"the generated test of a bidi RPC, once the RPC is written", "waited ten minutes", "a call of a test ends after 10 s and names its method",
		"runtime/servertest", "TestCallsWithoutADeadlineEnd"},
	{"servertest.Consume, and a handler that does not return", "waited for ever", "ends, and says which event or that a handler does not return",
		"runtime/servertest", "TestConsumeEndsAndSaysWhy"},
}
