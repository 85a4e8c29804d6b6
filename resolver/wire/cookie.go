package wire

import "encoding/binary"

// Lengths of a COOKIE option (RFC 7873 section 4): what a client makes, and with what a server adds to it.
const (
	ClientCookie    = 8
	shortestCookie  = ClientCookie + 8
	maxCookie       = ClientCookie + 32
	cookieOption    = 10
	optionHeaderLen = 4
)

// Cookie is the COOKIE option of a request: the client's own eight bytes and, behind them, what it once got from a server.
// The zero value is none.
type Cookie struct {
	Len  uint8 // of Data: 0 for none, ClientCookie, or 16 to maxCookie
	Ours bool  // the server's part was made or found valid here: replies carry Data (see cookie.Jar)
	Data [maxCookie]byte
}

// read takes the data of the option; false when it has a length that cannot be.
func (c *Cookie) read(data []byte) bool {
	if n := len(data); n != ClientCookie && (n < shortestCookie || n > maxCookie) {
		return false
	}
	if c.Len == 0 { // of several options the first counts
		c.Len = uint8(copy(c.Data[:], data))
	}
	return true
}

// append appends the option, as a reply carries it.
func (c *Cookie) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, cookieOption)
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.Len))
	return append(dst, c.Data[:c.Len]...)
}

// AppendChallenge appends a reply without records that has an honest client ask again and show that it has the address it
// asks from: BADCOOKIE with the cookie to bring for one that speaks of cookies, and TC, which is to be followed over TCP, for
// all others. It is not longer than the request by more than a cookie, so nobody is flooded with it. It gives the response
// code too.
func AppendChallenge(dst, req []byte, q *Question) (out []byte, rcode uint16) {
	if q.Cookie.Ours {
		return AppendError(dst, req, q, BadCookie, EDE{}), BadCookie
	}
	at := len(dst)
	dst = AppendError(dst, req, q, NoError, EDE{})
	dst[at+2] |= flagTC
	return dst, NoError
}

// CookieOf finds the data of the COOKIE option of a message whose question section ends at end; nil for none. It is part of
// msg.
func CookieOf(msg []byte, end int) []byte {
	opt := findOPT(msg, end)
	for at := opt.data; at+optionHeaderLen <= opt.end; {
		code, n := binary.BigEndian.Uint16(msg[at:]), int(binary.BigEndian.Uint16(msg[at+2:]))
		at += optionHeaderLen
		if at+n > opt.end {
			break
		}
		if code == cookieOption {
			return msg[at : at+n : at+n]
		}
		at += n
	}
	return nil
}

// AppendCookie appends a COOKIE option to a message that ends in an OPT record.
func AppendCookie(msg []byte, opt int, cookie []byte) []byte {
	at := opt + 1 + recordLen // of its data
	msg = binary.BigEndian.AppendUint16(msg, cookieOption)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(cookie)))
	msg = append(msg, cookie...)
	binary.BigEndian.PutUint16(msg[at-2:], uint16(len(msg)-at))
	return msg
}
