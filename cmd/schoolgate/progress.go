package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"schoolgate/blocklist/update"
	"schoolgate/config"
)

// progressLine shows long work on a terminal, one line that changes, and elsewhere a line for each list that is done.
func progressLine(c *call) func(update.Progress) {
	file, isFile := c.stderr.(*os.File)
	live := isFile && term.IsTerminal(int(file.Fd()))
	return func(p update.Progress) {
		switch {
		case p.Err != nil:
			clearLine(c, live)
			fmt.Fprintf(c.stderr, "%s: %s\n", p.List, cell(p.Err.Error()))
		case p.Finished && p.List != "":
			clearLine(c, live)
			got := "checked" // a file, or a source that has not changed
			if p.Done > 0 {
				got = config.Size(p.Done).String()
			}
			fmt.Fprintf(c.stderr, "%s: %s\n", p.List, got)
		case p.Finished:
			clearLine(c, live)
		case live && p.Compiling:
			bar(c, "compiling", p)
		case live && p.Total > 0:
			bar(c, p.List, p)
		case live:
			fmt.Fprintf(c.stderr, "\r\x1b[K%-20s %s", p.List, config.Size(p.Done))
		}
	}
}

// bar draws how far something is.
func bar(c *call, what string, p update.Progress) {
	const width = 30
	n := int(min(p.Done, p.Total) * width / max(p.Total, 1))
	fmt.Fprintf(c.stderr, "\r\x1b[K%-20s [%s%s] %3d %%", what, strings.Repeat("#", n), strings.Repeat(".", width-n), min(p.Done, p.Total)*100/max(p.Total, 1))
}

func clearLine(c *call, live bool) {
	if live {
		fmt.Fprint(c.stderr, "\r\x1b[K")
	}
}
