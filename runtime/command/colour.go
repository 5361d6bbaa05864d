//runtime:with command.From command.Bench command.Output

package command

import (
	"os"
	"runtime"
	"strings"
	"unicode"

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

// terminalWidth returns how many cells a line of a terminal has: 80 if it does not say.
func terminalWidth(file *os.File) int {
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// cut returns a text that takes at most some cells of a terminal, the last of which is …
// if there was more.
func cut(text string, width int) string {
	if cells(text) <= width {
		return text
	}
	var short strings.Builder
	taken := 0
	for _, r := range text {
		if taken += cellsOf(r); taken > width-1 {
			break
		}
		short.WriteRune(r)
	}
	return short.String() + "…"
}

// cells returns how many cells of a terminal a text takes.
func cells(text string) (n int) {
	for _, r := range text {
		n += cellsOf(r)
	}
	return n
}

// cellsOf returns 2 for the characters that terminals show twice as wide, and 0 for those
// that belong to the one before.
func cellsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0xff61 && r <= 0xffdc: // half as wide
		return 1
	case r >= 0x1100 && r <= 0x115f, r >= 0x3000 && r <= 0x303e, r >= 0xac00 && r <= 0xd7a3, r >= 0xff01 && r <= 0xff60,
		r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1f64f, r >= 0x1f900 && r <= 0x1faff,
		unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi):
		return 2
	}
	return 1
}
