//runtime:with command.From command.Bench command.Output

package command

import (
	"os"
	"runtime"

	"golang.org/x/term"
)

// coloured reports whether a file is a terminal whose user has not declined colour: by
// NO_COLOR (no-color.org), TERM=dumb, or CI, whose terminals are logs.
func coloured(file *os.File, getenv func(string) string) bool {
	switch {
	case getenv("NO_COLOR") != "", getenv("TERM") == "dumb", getenv("CI") != "":
		return false
	case runtime.GOOS == "windows" && getenv("WT_SESSION") == "":
		return false // older consoles print the codes
	}
	return term.IsTerminal(int(file.Fd()))
}

// cut returns a text that has at most some characters, the last of which is … if there
// were more.
func cut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:max(width-1, 0)]) + "…"
}
