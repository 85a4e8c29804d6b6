package main

import (
	"context"
	"io"
	"net"
	"time"

	"schoolgate/resolver/wire"
)

// lookups makes the program's own look-ups, of list sources and the mail server, go to the configured upstreams. The
// system's resolver would be this box itself on a network that it serves, and would hold the box to a group's rules.
func (a *appliance) lookups() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe() // a stream to net.Resolver, so it speaks DNS over TCP
		go func() {
			defer ours.Close()
			_ = ours.SetDeadline(time.Now().Add(10 * time.Second))
			a.answerOwn(ctx, ours)
		}()
		return theirs, nil
	}}
}

// answerOwn answers the look-ups on one connection until it is closed.
func (a *appliance) answerOwn(ctx context.Context, conn net.Conn) {
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		text := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(conn, text); err != nil {
			return
		}
		var q wire.Question
		if err := wire.ParseQuestion(text, &q); err != nil {
			return
		}
		out := wire.AppendError(nil, text, &q, wire.ServFail, wire.EDE{})
		if r, err := a.asking.Load().Exchange(ctx, &q); err == nil && r.Finding == wire.NoFinding {
			out = wire.AppendReply(nil, text, &q, r.Header, r.Body, wire.EDE{})
		}
		if _, err := conn.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...)); err != nil {
			return
		}
	}
}
