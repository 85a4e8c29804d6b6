//go:build linux

package main

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// upstream stands in for the Internet's DNS: it gives every name one address, which may be kept for an hour.
type upstream struct {
	port    int
	asked   atomic.Uint64
	stopped atomic.Bool
	done    sync.WaitGroup
}

func startUpstream() (*upstream, error) {
	fd, err := openSocket(100 * time.Millisecond)
	if err != nil {
		return nil, err
	}
	u := &upstream{}
	if u.port, err = portOf(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	u.done.Go(func() {
		defer unix.Close(fd)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		u.serve(fd)
	})
	return u, nil
}

func (u *upstream) stop() {
	u.stopped.Store(true)
	u.done.Wait()
}

func (u *upstream) serve(fd int) {
	in, out := newBatch(true), newBatch(true)
	for !u.stopped.Load() {
		n, err := in.receive(fd, unix.MSG_WAITFORONE)
		if err != nil {
			return
		}
		k := 0
		for i := range n {
			if reply := answerAddress(out.room[k][:0], in.packet(i)); reply != nil {
				out.peers[k] = in.peers[i]
				out.set(k, reply)
				k++
			}
		}
		for i := range n {
			in.set(i, in.room[i][:])
		}
		u.asked.Add(uint64(k))
		if k > 0 {
			if _, err := out.send(fd, k); err != nil {
				return
			}
		}
	}
}

// answerAddress makes the answer to a request: an A record for questions of type A, no data for others. EDNS is not
// spoken. It is nil for what is no request.
func answerAddress(dst, req []byte) []byte {
	if len(req) < 17 || req[2]&0x80 != 0 || binary.BigEndian.Uint16(req[4:]) != 1 {
		return nil
	}
	end := 12
	for end < len(req) && req[end] != 0 {
		end += 1 + int(req[end])
	}
	if end += 5; end > len(req) {
		return nil
	}
	dst = append(dst, req[:end]...)
	dst[2], dst[3] = 0x80|req[2]&0x79, 0x80
	clear(dst[6:12])
	if binary.BigEndian.Uint16(req[end-4:]) == 1 {
		dst[7] = 1
		dst = append(dst, 0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1)
	}
	return dst
}
