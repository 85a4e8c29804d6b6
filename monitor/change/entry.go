package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is what one line of the log tells.
type Kind string

// The kinds.
const (
	KindProposed      Kind = "proposed"
	KindApproved      Kind = "approved" // by a second person; or looked at, of what applied at once
	KindRefused       Kind = "refused"
	KindApplied       Kind = "applied"       // the service put it in force
	KindExpired       Kind = "expired"       // the service saw its time end
	KindConfiguration Kind = "configuration" // the file was changed, seen at a start or reload
	KindLists         Kind = "lists"         // a version of a list was accepted, refused or reverted by a person
	KindOpened        Kind = "opened"        // names that are sealed for the safeguarding lead were opened
	KindAnswered      Kind = "answered"      // a request of the block page was dealt with
	KindCut           Kind = "cut"           // an end that was no whole line was cut off
	KindAcknowledged  Kind = "acknowledged"  // a person knows that the log before this line is not whole
)

// Entry is one line of the log. Number, At, Prev and Hash are given by the log.
type Entry struct {
	Number int           `json:"n"`
	At     time.Time     `json:"at"`
	Kind   Kind          `json:"kind"`
	Change int           `json:"change,omitempty"` // the number of the line that proposed it
	What   *What         `json:"what,omitempty"`   // KindProposed
	Asked  int64         `json:"asked,omitempty"`  // KindAnswered: the number of the request
	By     string        `json:"by,omitempty"`
	Role   string        `json:"role,omitempty"`
	Via    string        `json:"via,omitempty"` // the account that did it
	Why    string        `json:"why,omitempty"`
	Risk   string        `json:"risk,omitempty"`
	Needs  Need          `json:"needs,omitempty"`
	Until  time.Time     `json:"until,omitzero"`
	For    time.Duration `json:"for,omitempty"` // nanoseconds
	Before []string      `json:"before,omitempty"`
	After  []string      `json:"after,omitempty"`
	Prev   string        `json:"prev"`
	Hash   string        `json:"hash,omitempty"`
}

const (
	maxLine  = 64 << 10 // bytes, newline included
	maxItems = 200      // of Before and After
	maxItem  = 300      // bytes of each
	hashMark = `,"hash":"`
	hashTail = len(hashMark) + 2*sha256.Size + len(`"}`)
)

// origin is what the first line names as the hash of the line before it.
var origin = strings.Repeat("0", 2*sha256.Size)

// encode writes the line, without its newline, and gives its hash: of the line as it would be without the hash.
func (e Entry) encode() (line []byte, hash string, err error) {
	e.Hash = ""
	e.Before, e.After = bounded(e.Before), bounded(e.After)
	body, err := json.Marshal(e)
	if err != nil {
		return nil, "", fmt.Errorf("encoding a line of the log: %w", err)
	}
	sum := sha256.Sum256(body)
	hash = hex.EncodeToString(sum[:])
	line = append(append(body[:len(body)-1], hashMark...), hash+`"}`...)
	if len(line) >= maxLine {
		return nil, "", errors.New("a line of the log would be too long")
	}
	return line, hash, nil
}

// bounded keeps lists of sentences within what a line may hold, and says what was left out.
func bounded(lines []string) []string {
	more := len(lines) - maxItems
	if more > 0 {
		lines = append(append([]string(nil), lines[:maxItems]...), fmt.Sprintf("and %d more", more))
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		if out[i] = strings.ToValidUTF8(l, "\uFFFD"); len(out[i]) > maxItem {
			out[i] = strings.ToValidUTF8(out[i][:maxItem], "") + "…"
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// parseEntry reads a line without its newline; an error says in plain words what is wrong with it by itself.
func parseEntry(line []byte) (Entry, error) {
	var e Entry
	if len(line) < hashTail || !bytes.HasPrefix(line[len(line)-hashTail:], []byte(hashMark)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return e, errors.New("it does not end with a hash")
	}
	hash := string(line[len(line)-hashTail+len(hashMark) : len(line)-2])
	sum := sha256.New()
	sum.Write(line[:len(line)-hashTail])
	sum.Write([]byte("}"))
	if want := hex.EncodeToString(sum.Sum(nil)); want != hash {
		return e, errors.New("its hash does not fit its content: it was altered after it was written")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Hash != hash || d.InputOffset() != int64(len(line)) {
		return Entry{}, errors.New("it is no entry that this program writes, or a newer version wrote it")
	}
	if e.Kind == KindProposed && (e.What == nil || !e.What.sound()) {
		return Entry{}, errors.New("what it proposes makes no sense")
	}
	return e, nil
}
