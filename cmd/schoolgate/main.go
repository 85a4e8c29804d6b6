// Command schoolgate filters and records a school's DNS: see `schoolgate help`.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"
)

// The voice of the command line: what a program reads goes to standard output, what a person is told goes to standard
// error behind "schoolgate: ", in lower case and without a full stop; every mistake comes with a line "hint: ".

// Exit codes, the same for every command.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not work
	exitUsage  = 2 // the command line or the configuration is wrong: nothing was tried
)

//go:embed help/*.md
var pages embed.FS

// command is one subcommand.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, c *call) error
	hidden  bool // for the program itself
}

// call is one invocation of a command.
type call struct {
	args   []string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

func commands() []command {
	return []command{
		{name: "run", summary: "answer, filter and record until stopped", run: runServe},
		{name: "init", summary: "ask a few questions and write a configuration", run: runInit},
		{name: "check", summary: "say whether a configuration is right", run: runCheck},
		{name: "explain", summary: "say why a name is blocked or allowed", run: runExplain},
		{name: "dnssec", summary: "say why a name fails, or passes, validation", run: runDNSSEC},
		{name: "changes", summary: "propose, approve and revert changes of the filter", run: runChanges},
		{name: "requests", summary: "show what was asked for on the block page, answer it", run: runRequests},
		{name: "audit", summary: "prove that the log of changes is whole, export it", run: runAudit},
		{name: "log", summary: "search the record of queries", run: runLog},
		{name: "report", summary: "write the termly review", run: runReport},
		{name: "alerts", summary: "list alerts, show one", run: runAlerts},
		{name: "illegal", summary: "show the illegal tier, look after it, open what was sealed", run: runIllegal},
		{name: "certificate", summary: "show the certificate for encrypted DNS, export what devices are to trust", run: runCertificate},
		{name: "lists", summary: "show, update and revert the blocklists", run: runLists},
		{name: "demo", summary: "play a simulated school day, offline", run: runDemo},
		{name: "version", summary: "print the version", run: runVersion},
		{name: "help", summary: "show a command's page", run: runHelp},
		{name: compileCommand, run: runCompile, hidden: true},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program as a function: tests call it as main does.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
		overview(stdout)
		return exitOK
	}
	if args[0] == "--version" {
		args[0] = "version"
	}
	for _, cmd := range commands() {
		if cmd.name != args[0] {
			continue
		}
		err := cmd.run(ctx, &call{args: args[1:], stdin: stdin, stdout: stdout, stderr: stderr})
		return outcome(err, cmd.name, stdout, stderr)
	}
	fmt.Fprintf(stderr, "schoolgate: no command %q\nhint: schoolgate help lists the commands\n", args[0])
	return exitUsage
}

// outcome turns a command's error into what a person sees and an exit code.
func outcome(err error, name string, stdout, stderr io.Writer) int {
	var hinted *hintError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		page, _ := pages.ReadFile("help/" + name + ".md")
		_, _ = stdout.Write(page)
		return exitOK
	case errors.As(err, &hinted):
		if hinted.what != "" {
			fmt.Fprintf(stderr, "schoolgate: %s\n", printable(hinted.what))
		}
		if hinted.hint != "" {
			fmt.Fprintf(stderr, "hint: %s\n", hinted.hint)
		}
		return hinted.code
	}
	fmt.Fprintf(stderr, "schoolgate: %s\n", printable(err.Error()))
	return exitFailed
}

// printable makes text that came from elsewhere, a server's certificate say, safe to show on a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// hintError is an error with what a person can do about it.
type hintError struct {
	what, hint string
	code       int
}

func (e *hintError) Error() string { return e.what }

func usage(hint, format string, args ...any) error {
	return &hintError{what: fmt.Sprintf(format, args...), hint: hint, code: exitUsage}
}

func failed(hint, format string, args ...any) error {
	return &hintError{what: fmt.Sprintf(format, args...), hint: hint, code: exitFailed}
}

// flags makes the flag set of a command: its mistakes are reported as all others are.
func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse reads the flags of a command, which may stand before or after its arguments.
func parse(f *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usage("schoolgate help "+f.Name(), "%v", err)
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

// noArguments refuses what a command has no use for.
func noArguments(f *flag.FlagSet, rest []string) error {
	if len(rest) > 0 {
		return usage("schoolgate help "+f.Name(), "unexpected argument %q", rest[0])
	}
	return nil
}

func overview(w io.Writer) {
	fmt.Fprint(w, "Schoolgate filters and records a school's DNS.\n\nusage: schoolgate COMMAND [flags]\n\n")
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(w, "  %-11s  %s\n", c.name, c.summary)
		}
	}
	fmt.Fprint(w, "\nschoolgate help COMMAND shows a command's page; schoolgate run is the appliance itself.\n")
}

func runHelp(_ context.Context, c *call) error {
	rest, err := parse(flags("help"), c.args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		overview(c.stdout)
		return nil
	}
	page, err := pages.ReadFile("help/" + rest[0] + ".md")
	if err != nil {
		return usage("schoolgate help lists the commands", "no page on %q", strings.Join(rest, " "))
	}
	_, err = c.stdout.Write(page)
	return err
}
