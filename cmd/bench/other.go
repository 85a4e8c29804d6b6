//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it runs on Linux only: it needs recvmmsg, /proc and pinning to cores")
	os.Exit(1)
}
