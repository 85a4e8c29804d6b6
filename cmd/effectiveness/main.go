// Command effectiveness measures what a configuration refuses and what it leaves open, against labelled names: see
// docs/lists.md. It is no part of the appliance.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// errMissed says that a target was not reached. The table has said which.
var errMissed = errors.New("not every target is met")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "effectiveness:", err)
		os.Exit(1)
	}
}

// run is the whole program as a function, for tests.
func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("effectiveness", flag.ContinueOnError)
	data := f.String("data", "../shared/data", "folder of lists and labelled names")
	file := f.String("config", "deploy/recommended.toml", "configuration to measure")
	group := f.String("group", "children", "group to ask for")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "effectiveness-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	box, err := compile(ctx, *file, *data, *group, dir)
	if err != nil {
		return err
	}
	truth, err := readTruth(*data + "/groundtruth")
	if err != nil {
		return err
	}
	r := measure(box, truth)
	r.print(out)
	if !r.met() {
		return errMissed
	}
	return nil
}
