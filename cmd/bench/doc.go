// Command bench measures Schoolgate beside its peers on one machine: a bare echo server in C as the limit, those DNS servers
// that Debian packages, and some others where they are on the PATH. Each is driven in turn with the same questions over
// loopback, in rounds, and one table of medians comes out, with ratios to the echo of the same round. See
// docs/performance.md.
//
// It runs on Linux, opens sockets on 127.0.0.1 only, and ends all that it started.
package main
