package sealed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A sealed list as bytes, all integers little-endian:
//
//	magic, key's id        8 + 8
//	length, JSON of header 4 + n
//	sites, hosts, pages    4 + 20 n each
//	HMAC-SHA-256 of all before, under the key
//
// So nobody without the key can make one, or take an entry out of one.
const magic = "SGSEAL\x00\x01"

const (
	macSize  = sha256.Size
	hashSize = 20
	maxHead  = 64 << 10
)

// ErrDamaged is a file that is not as it was written.
var ErrDamaged = errors.New("the sealed list is damaged")

// header is what a file says in words.
type header struct {
	Counts
	Source  string    `json:"source"`
	Mark    string    `json:"mark"`
	Fetched time.Time `json:"fetched"`
}

// Encode gives the list in the form that Decode reads.
func (l *List) Encode(k *Key) ([]byte, error) {
	if l.key != k.id {
		return nil, ErrOtherKey
	}
	head, err := json.Marshal(header{l.Counts, l.Source, l.Mark, l.Fetched})
	if err != nil {
		return nil, fmt.Errorf("encoding a sealed list: %w", err)
	}
	le := binary.LittleEndian
	b := append([]byte(magic), l.key[:]...)
	b = append(le.AppendUint32(b, uint32(len(head))), head...)
	for _, part := range [][]hash{l.sites, l.hosts, l.pages} {
		b = le.AppendUint32(b, uint32(len(part)))
		for _, h := range part {
			b = le.AppendUint32(le.AppendUint64(le.AppendUint64(b, h.high), h.low), h.quick)
		}
	}
	return append(b, k.mac(b)...), nil
}

func (k *Key) mac(b []byte) []byte {
	m := hmac.New(sha256.New, k.derive("file"))
	m.Write(b)
	return m.Sum(nil)
}

// Decode reads what Encode gave. It is ErrOtherKey for what was sealed under another key, ErrDamaged for what is not
// whole.
func Decode(b []byte, k *Key) (*List, error) {
	l := &List{}
	if len(b) < len(magic)+len(l.key)+macSize || string(b[:len(magic)]) != magic {
		return nil, ErrDamaged
	}
	if copy(l.key[:], b[len(magic):]); l.key != k.id {
		return nil, ErrOtherKey
	}
	body, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if !hmac.Equal(mac, k.mac(body)) {
		return nil, ErrDamaged
	}
	body = body[len(magic)+len(l.key):]
	head, body, ok := cut(body, 1)
	var h header
	if !ok || len(head) > maxHead || json.Unmarshal(head, &h) != nil {
		return nil, ErrDamaged
	}
	l.Counts, l.Source, l.Mark, l.Fetched = h.Counts, h.Source, h.Mark, h.Fetched
	for _, part := range []*[]hash{&l.sites, &l.hosts, &l.pages} {
		var raw []byte
		if raw, body, ok = cut(body, hashSize); !ok {
			return nil, ErrDamaged
		}
		*part = make([]hash, 0, len(raw)/hashSize)
		for ; len(raw) > 0; raw = raw[hashSize:] {
			le := binary.LittleEndian
			*part = append(*part, hash{le.Uint64(raw), le.Uint64(raw[8:]), le.Uint32(raw[16:])})
		}
	}
	if len(body) > 0 {
		return nil, ErrDamaged
	}
	return l, nil
}

// cut takes a count and so many things of size bytes off b.
func cut(b []byte, size uint64) (part, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(b)) * size
	if b = b[4:]; n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
