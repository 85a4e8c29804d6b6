package blocklist

import (
	"encoding/binary"
	"slices"
)

// unit is an entry with those that lean on it, of which a bucket has room.
type unit []entry

// size is what a unit takes in a bucket.
func (u unit) size() int {
	n := 0
	for i := range u {
		n += 2 + u[i].bodySize()
	}
	return n
}

// bodySize is what an entry takes, save tag and shape.
func (e *entry) bodySize() int { return varintSize(e.code) + len(e.text) }

func varintSize(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// packer fills buckets with units, which come in the order of their homes. What a bucket has no room for stands in the
// next one.
type packer struct {
	emit    func(bucket []byte) error
	bucket  uint64 // at work
	at      int    // where it will stand
	waiting []unit // that it had no room for

	tags, shapes, bodies []byte // of the bucket
	bytes                []byte // all of it, used again and again

	directory directory
	far       []byte
}

// add takes the next unit, which it lends.
func (p *packer) add(home uint64, u unit) error {
	for p.bucket < home {
		if err := p.flush(); err != nil {
			return err
		}
	}
	for i := range u {
		e := &u[i]
		if e.bodySize() <= sizeMask {
			continue
		}
		text := binary.LittleEndian.AppendUint32([]byte{far}, uint32(len(p.far)))
		text = binary.LittleEndian.AppendUint16(text, uint16(len(e.text)))
		p.far = append(p.far, e.text...)
		e.text = text
	}
	if len(p.waiting) == 0 && p.put(u) {
		return nil
	}
	u = slices.Clone(u)
	for i := range u {
		u[i].text = slices.Clone(u[i].text)
	}
	p.waiting = append(p.waiting, u)
	return nil
}

// put puts a unit into the bucket at work, if there is room.
func (p *packer) put(u unit) bool {
	if 1+2*len(p.tags)+len(p.bodies)+u.size() > maxBucket {
		return false
	}
	for _, e := range u {
		p.tags = append(p.tags, e.tag)
		p.shapes = append(p.shapes, byte(e.labels<<sizeBits|e.bodySize()))
		p.bodies = append(binary.AppendUvarint(p.bodies, uint64(e.code)), e.text...)
	}
	return true
}

// flush writes the bucket at work, and begins the next with what waits.
func (p *packer) flush() error {
	head := byte(len(p.tags))
	if len(p.waiting) > 0 {
		head |= goesOn
	}
	p.bytes = append(append(append(append(p.bytes[:0], head), p.tags...), p.shapes...), p.bodies...)
	if p.bucket/lineHomes*lineSize == uint64(len(p.directory)) {
		p.directory = append(p.directory, make([]byte, lineSize)...)
	}
	line, i := p.directory.line(p.bucket), p.bucket%lineHomes
	if i == 0 {
		binary.LittleEndian.PutUint32(line[startAt:], uint32(p.at))
	}
	line[sizesAt+i] = byte(len(p.bytes))
	p.bucket++
	p.at += len(p.bytes)
	p.tags, p.shapes, p.bodies = p.tags[:0], p.shapes[:0], p.bodies[:0]
	for len(p.waiting) > 0 && p.put(p.waiting[0]) {
		p.waiting = p.waiting[1:]
	}
	return p.emit(p.bytes)
}

// finish writes buckets up to the last home, and as many more as it takes.
func (p *packer) finish(homes uint64) error {
	for p.bucket < homes || len(p.tags) > 0 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	return p.emit(make([]byte, slack))
}
