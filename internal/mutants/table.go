package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// goal is how many of a hundred mistakes must be caught.
const goal = 95

// word is what became of a mutant, in a word.
func (r result) word() string {
	switch {
	case r.hung:
		return "hung"
	case r.by != "":
		return "caught"
	}
	return "survived"
}

// show prints what became of mutants, as tables in Markdown. It returns an error if too
// few are caught, or if what is known of a mutant is wrong.
func show(to io.Writer, groups []group, results map[string]result) error {
	var wrong []error
	fmt.Fprintln(to, "| id | mistake | | by | message |\n|---|---|---|---|---|")
	for _, g := range groups {
		for _, m := range g.mutants {
			r := results[m.id]
			message := r.message
			switch {
			case r.caught() && m.survives != "":
				wrong = append(wrong, fmt.Errorf("%s is caught: take away the reason why it is not", m.id))
			case !r.caught() && m.survives == "":
				wrong = append(wrong, fmt.Errorf("%s %s for no reason that is known: %s", m.id, r.word(), m.about))
			case !r.caught():
				message = m.survives
			}
			fmt.Fprintf(to, "| %s | %s | %s | %s | %s |\n", m.id, m.about, r.word(), r.by, cell(message))
		}
	}
	fmt.Fprintln(to, "\n| mistakes in | planted | caught | survived | hung |\n|---|---|---|---|---|")
	sum := map[string]int{}
	for _, g := range groups {
		count := map[string]int{}
		for _, m := range g.mutants {
			count[results[m.id].word()]++
		}
		fmt.Fprintf(to, "| %s | %d | %d | %d | %d |\n", g.name, len(g.mutants), count["caught"], count["survived"], count["hung"])
		sum["planted"] += len(g.mutants)
		for word, n := range count {
			sum[word] += n
		}
	}
	fmt.Fprintf(to, "\n%d of %d mistakes are caught\n", sum["caught"], sum["planted"])
	if sum["caught"]*100 < goal*sum["planted"] {
		wrong = append(wrong, fmt.Errorf("%d of %d mistakes are caught, want %d %%", sum["caught"], sum["planted"], goal))
	}
	return errors.Join(wrong...)
}

// cell makes text fit in a cell of a table.
func cell(text string) string {
	const most = 240
	text = strings.ReplaceAll(text, "|", "\\|")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + " …"
	}
	return text
}
