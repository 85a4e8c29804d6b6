//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// want is what a right answer is.
type want uint8

const (
	wantEcho    want = iota // the question itself
	wantBlocked             // NXDOMAIN
	wantAddress             // NOERROR with at least one record
)

const (
	rcodeNoError  = 0
	rcodeNXDomain = 3
)

// appendQuestion appends a request for the address of name, with id 0 and recursion desired.
func appendQuestion(dst []byte, name string) []byte {
	dst = append(dst, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(name, ".") {
		dst = append(append(dst, byte(len(label))), label...)
	}
	return append(dst, 0, 0, 1, 0, 1)
}

// text is the name that a question of appendQuestion asks for.
func text(question []byte) string {
	var labels []string
	for at := 12; at < len(question) && question[at] != 0; at += 1 + int(question[at]) {
		labels = append(labels, string(question[at+1:at+1+int(question[at])]))
	}
	return strings.Join(labels, ".")
}

func setID(packet []byte, id uint16) { binary.BigEndian.PutUint16(packet, id) }

func getID(packet []byte) uint16 { return binary.BigEndian.Uint16(packet) }

// right says whether an answer, of 12 bytes or more, is what the question should get. Its id was looked at before.
func (w want) right(question, answer []byte) bool {
	if answer[2]&0x80 == 0 || len(answer) < len(question) || !bytes.EqualFold(question[12:], answer[12:len(question)]) {
		return false
	}
	switch rcode := answer[3] & 0x0f; w {
	case wantBlocked:
		return rcode == rcodeNXDomain
	case wantAddress:
		return rcode == rcodeNoError && binary.BigEndian.Uint16(answer[6:]) > 0
	case wantEcho:
		return rcode == rcodeNoError
	}
	return false
}

// source gives the questions of a run, one after the other: it writes one into dst[:0] and says what its answer must be.
type source func(dst []byte) ([]byte, want)

// mixed asks for a blocked name and a cached one in turn.
func mixed(n *names, echo bool) source {
	blocked, allowed := questions(n.asked), questions(n.cached)
	i := 0
	return func(dst []byte) ([]byte, want) {
		list, w := blocked, wantBlocked
		if i&1 == 1 {
			list, w = allowed, wantAddress
		}
		if echo {
			w = wantEcho
		}
		q := list[i/2%len(list)]
		i++
		return append(dst[:0], q...), w
	}
}

// each asks for the names of a list in turn.
func each(list []string, w want) source {
	all, i := questions(list), 0
	return func(dst []byte) ([]byte, want) {
		q := all[i%len(all)]
		i++
		return append(dst[:0], q...), w
	}
}

// distinct asks for ever new names that nobody has in a cache.
func distinct(tag string) source {
	i := 0
	return func(dst []byte) ([]byte, want) {
		i++
		return appendQuestion(dst[:0], "n"+strconv.FormatInt(int64(i), 36)+"."+tag+".fresh."+allowedZone), wantAddress
	}
}

func questions(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, name := range list {
		out[i] = appendQuestion(nil, name)
	}
	return out
}
