package main

import (
	"os"
	"os/exec"
	"testing"
)

// TestHelperParent is no test: it is the process whose child must end with it.
func TestHelperParent(t *testing.T) {
	if os.Getenv("SCHOOLGATE_PARENT") == "" {
		return
	}
	child := exec.Command("sleep", "600")
	child.Stdout = os.Stdout // inherited: the pipe stays open for as long as the child lives
	endsWithParent(child)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.WriteString("started\n")
	select {}
}

// TestChildEndsWithParent kills the parent and waits for the end of the pipe that the child holds open.
func TestChildEndsWithParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0], "-test.run=^TestHelperParent$")
	parent.Env = append(os.Environ(), "SCHOOLGATE_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	if _, err := out.Read(buf); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := out.Read(buf); err != nil {
				return
			}
		}
	}()
	eventually(t, "the child has ended with its parent", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	_ = parent.Wait()
}
