package wire

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// payloads gives what UDP packets of a classic capture file (little-endian, Ethernet) carry. Fragments are passed over.
func payloads(t *testing.T, file string) (out [][]byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b2c3d4 {
		t.Fatalf("%s is no little-endian capture", file)
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		frame := b[16:min(16+n, len(b))]
		b = b[16+len(frame):]
		if len(frame) < 14+20+8 {
			continue
		}
		ip := frame[14:]
		switch binary.BigEndian.Uint16(frame[12:]) {
		case 0x0800:
			header := int(ip[0]&15) * 4
			if ip[9] == 17 && binary.BigEndian.Uint16(ip[6:])&0x1fff == 0 && len(ip) > header+8 {
				out = append(out, ip[header+8:])
			}
		case 0x86dd:
			if ip[6] == 17 && len(ip) > 48 {
				out = append(out, ip[48:])
			}
		}
	}
	return out
}

// Packets that were caught in the wild, made to break parsers, hold to the properties of the fuzz targets.
func TestCaptures(t *testing.T) {
	for _, name := range []string{"ndpi__malformed_dns", "ndpi__dns_fragmented", "ndpi__dns_long_domainname", "zeek__dns-https", "zeek__mdns"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("..", "..", "..", "shared", "data", "pcap", name+".pcap")
			if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
				t.Skip("the captures of ../shared/data are not here")
			}
			all := payloads(t, file)
			if len(all) == 0 {
				t.Fatal("no UDP packets")
			}
			for _, p := range all {
				checkRequest(t, p)
				checkResponse(t, p)
				for n := range p { // and each packet cut short
					checkRequest(t, p[:n:n])
				}
			}
			t.Logf("%d packets", len(all))
		})
	}
}
