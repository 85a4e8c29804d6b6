package blocklist

import (
	"bytes"
	"iter"
	"runtime"

	"schoolgate/blocklist/domain"
)

// Within is every rule at zone and below it, in the order of All. It reads no more pages than hold them.
func (s *Set) Within(zone domain.Name) iter.Seq[Hit] {
	return func(yield func(Hit) bool) {
		key, err := appendName(nil, zone)
		if err != nil || s.names == 0 {
			return
		}
		first, _, _ := bytes.Cut(key, []byte{border})
		top := hashKey(key).top
		if s.tops.find(top, first) < 0 {
			return
		}
		page := s.seek(append(bytes.Clone(key), make([]byte, maxSymbol)...), len(key), len(first), top)
		defer runtime.KeepAlive(s)
		var c cursor
		var hits []Hit
		for page = max(page, 0); page < len(s.pages)/pageSize; page++ {
			for c.open(s, page); c.next(); {
				below := bytes.HasPrefix(c.key, key)
				switch {
				case !below && bytes.Compare(c.key, key) > 0:
					return
				case !below || c.ghost || len(c.key) > len(key) && c.key[len(key)] != border:
					continue
				}
				hits = tupleAt(s.tuples, c.tuple).appendHits(hits[:0], nameOf(c.key), true, true)
				for _, h := range hits {
					if !yield(h) {
						return
					}
				}
			}
		}
	}
}
