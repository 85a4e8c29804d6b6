package wire

import "encoding/binary"

// AgeTTLs takes age seconds from each TTL at offsets (Reply.TTLs), in place; none falls below floor. A body within a reply made by
// AppendReply is reply[q.End:]. With a large age and the wished floor it gives stale answers their TTL (RFC 8767).
func AgeTTLs(body []byte, offsets []uint16, age, floor uint32) {
	for _, o := range offsets {
		b := body[o : o+4]
		ttl := saneTTL(binary.BigEndian.Uint32(b))
		binary.BigEndian.PutUint32(b, max(ttl-min(age, ttl), floor))
	}
}

// saneTTL reads a TTL with its top bit set as 0 (RFC 2181 section 8).
func saneTTL(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}
