package blocklist

import "encoding/binary"

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
	waiting []unit // for it
	bytes   []byte // of it, used again and again
	index   []byte
	far     []byte
}

// add takes the next unit.
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
	p.waiting = append(p.waiting, u)
	return nil
}

// flush writes the bucket at work, with as many of the units that wait as there is room for, and begins the next.
func (p *packer) flush() error {
	size, units, n := 1, 0, 0
	for units < len(p.waiting) && size+p.waiting[units].size() <= maxBucket {
		size += p.waiting[units].size()
		n += len(p.waiting[units])
		units++
	}
	b := append(p.bytes[:0], make([]byte, 1+2*n)...)
	b[0] = byte(n)
	if units < len(p.waiting) {
		b[0] |= goesOn
	}
	i := 0
	for _, u := range p.waiting[:units] {
		for _, e := range u {
			b[1+i], b[1+n+i] = e.tag, byte(e.labels<<sizeBits|e.bodySize())
			b = append(binary.AppendUvarint(b, uint64(e.code)), e.text...)
			i++
		}
	}
	if p.bucket%indexGroup == 0 {
		p.index = binary.LittleEndian.AppendUint32(p.index, uint32(p.at))
	}
	p.index = append(p.index, byte(size))
	p.bucket++
	p.at += size
	p.bytes = b
	p.waiting = p.waiting[units:]
	return p.emit(b)
}

// finish writes buckets up to the last home, and as many more as it takes.
func (p *packer) finish(homes uint64) error {
	for p.bucket < homes || len(p.waiting) > 0 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	for len(p.index)%indexSize != 0 {
		p.index = append(p.index, 0)
	}
	return p.emit(make([]byte, slack))
}
