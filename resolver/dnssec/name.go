package dnssec

import (
	"schoolgate/blocklist/domain"
)

// Names are strings in lower-cased wire form, root label included, so that they can be keys of maps: root is "\x00".
const root = "\x00"

// labels counts the labels of a name, the root not included.
func labels(name string) (n int) {
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		n++
	}
	return n
}

// parent is the name without its first label; that of the root is the root.
func parent(name string) string {
	if name == root {
		return root
	}
	return name[1+int(name[0]):]
}

// last is the ancestor of a name, or the name itself, that has n labels.
func last(name string, n int) string {
	for k := labels(name) - n; k > 0; k-- {
		name = parent(name)
	}
	return name
}

// within says whether name is zone or lies below it.
func within(name, zone string) bool {
	for len(name) > len(zone) {
		name = parent(name)
	}
	return name == zone
}

// below says whether name lies below zone.
func below(name, zone string) bool { return len(name) > len(zone) && within(name, zone) }

// shared is the longest name that both lie within.
func shared(a, b string) string {
	for !within(a, b) {
		b = parent(b)
	}
	return b
}

// isWildcard says whether the first label is an asterisk.
func isWildcard(name string) bool { return len(name) > 2 && name[0] == 1 && name[1] == '*' }

// wildcard is the name of the wildcard right below name; ok is false when there is no room for one.
func wildcard(name string) (w string, ok bool) {
	return "\x01*" + name, len(name)+2 <= domain.MaxWire
}

// compare orders names canonically: label by label from the right (RFC 4034 section 6.1).
func compare(a, b string) int {
	var x, y [domain.MaxLabels]uint8
	n, m := starts(a, &x), starts(b, &y)
	for n > 0 && m > 0 {
		n, m = n-1, m-1
		i, j := int(x[n]), int(y[m])
		if l, r := a[i+1:i+1+int(a[i])], b[j+1:j+1+int(b[j])]; l != r {
			if l < r {
				return -1
			}
			return 1
		}
	}
	return n - m
}

// starts notes where the labels of a name begin.
func starts(name string, at *[domain.MaxLabels]uint8) (n int) {
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		at[n] = uint8(i)
		n++
	}
	return n
}

// readName takes an uncompressed name off data, in lower case.
func readName(data []byte) (name string, rest []byte, ok bool) {
	var w domain.Wire
	next, err := w.Read(data, 0)
	if err != nil {
		return "", nil, false
	}
	return string(w.Bytes()), data[next:], true
}

// text is a name for people.
func text(name string) string {
	if name == root {
		return "."
	}
	return string(domain.AppendText(nil, []byte(name)))
}
