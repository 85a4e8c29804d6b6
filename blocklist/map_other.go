//go:build !linux

package blocklist

import "os"

// mapFile reads the file into memory.
func mapFile(f *os.File, size int) (data []byte, unmap func([]byte), err error) {
	data, err = read(f, size)
	return data, func([]byte) {}, err
}

func (s *Set) unmapWhenGone(func([]byte)) {}
