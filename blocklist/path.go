package blocklist

import (
	"slices"

	"schoolgate/blocklist/domain"
)

// A path is a name as the Builder sorts it: its labels from the right, each after its length. A name is a prefix of all
// names below it, so in order it comes directly before them.

// appendPath appends the path of w.
func appendPath(path []byte, w *domain.Wire) []byte {
	for i := w.Labels() - 1; i >= 0; i-- {
		label := w.Label(i)
		path = append(append(path, byte(len(label))), label...)
	}
	return path
}

// firstLabel is the size in bytes of the first label of a path, its length included.
func firstLabel(path []byte) int { return 1 + int(path[0]) }

// siteSize is the size in bytes of the first two labels of a path, or of all there is.
func siteSize(path []byte) int {
	n := firstLabel(path)
	if n < len(path) {
		n += firstLabel(path[n:])
	}
	return n
}

// siteHash is the hash of the last two labels of a name, given its path, or of all there is.
func siteHash(seed uint64, path []byte) uint64 { return pathHash(seed, path[:siteSize(path)]) }

// pathHash is the hash of a name, given its path.
func pathHash(seed uint64, path []byte) uint64 {
	h := seed
	for at := 0; at < len(path); {
		end := at + firstLabel(path[at:])
		h = hashLabel(h, path[at+1:end])
		at = end
	}
	return h
}

// Labels of a text whose first length is left out, at most: a shape has two bits for them.
const maxLabels = 3

// appendText appends the labels of a path from the left, each after its length, as in a packet: the text of an entry. The
// first length is left out where it can be known from the number of labels; else labels is 0.
func appendText(text, path []byte) (_ []byte, labels int) {
	from := len(text)
	for at := 0; at < len(path); at += firstLabel(path[at:]) {
		labels++
	}
	text = slices.Grow(text, len(path))[:from+len(path)]
	end := len(text)
	for at := 0; at < len(path); {
		size := firstLabel(path[at:])
		end -= copy(text[end-size:], path[at:at+size])
		at += size
	}
	if labels == 0 || labels > maxLabels || !plain(text[from:]) {
		return text, 0
	}
	return append(text[:from], text[from+1:]...), labels
}

// plain says whether no byte of a label could be taken for a length that leads to another one, or to the end. If so,
// without the first length, the same bytes are no other name of as many labels.
func plain(text []byte) bool {
	var length [domain.MaxWire + 1]bool
	for at := 0; at < len(text); at += firstLabel(text[at:]) {
		length[at] = true
	}
	length[len(text)] = true
	for i, c := range text {
		if to := i + 1 + int(c); !length[i] && to <= len(text) && length[to] {
			return false
		}
	}
	return true
}
