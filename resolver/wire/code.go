package wire

// Record types that the product has something to say about (RFC 1035, 3596, 6672, 6891, 9460, 8482).
const (
	TypeA     uint16 = 1
	TypeNS    uint16 = 2
	TypeCNAME uint16 = 5
	TypeSOA   uint16 = 6
	TypePTR   uint16 = 12
	TypeHINFO uint16 = 13
	TypeTXT   uint16 = 16
	TypeAAAA  uint16 = 28
	TypeDNAME uint16 = 39
	TypeOPT   uint16 = 41
	TypeSVCB  uint16 = 64
	TypeHTTPS uint16 = 65
	TypeIXFR  uint16 = 251
	TypeAXFR  uint16 = 252
	TypeANY   uint16 = 255
)

// Types of which it knows but where names stand in them (see layoutOf), or that they are for one hop only.
const (
	typeMD    uint16 = 3
	typeMF    uint16 = 4
	typeMB    uint16 = 7
	typeMG    uint16 = 8
	typeMR    uint16 = 9
	typeMINFO uint16 = 14
	typeMX    uint16 = 15
	typeRP    uint16 = 17
	typeAFSDB uint16 = 18
	typeRT    uint16 = 21
	typeSIG   uint16 = 24
	typePX    uint16 = 26
	typeNXT   uint16 = 30
	typeSRV   uint16 = 33
	typeNAPTR uint16 = 35
	typeKX    uint16 = 36
	typeRRSIG uint16 = 46
	typeNSEC  uint16 = 47
	typeTSIG  uint16 = 250
)

// ClassIN is the Internet, the only class answered.
const ClassIN uint16 = 1

// Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9).
const (
	NoError  uint16 = 0
	FormErr  uint16 = 1
	ServFail uint16 = 2
	NXDomain uint16 = 3
	NotImp   uint16 = 4
	Refused  uint16 = 5
	BadVers  uint16 = 16

	BadCookie uint16 = 23 // RFC 7873 section 8
)

// Extended DNS error codes (RFC 8914 section 4).
const (
	EDEOther                uint16 = 0
	EDEStale                uint16 = 3
	EDEForged               uint16 = 4
	EDEIndeterminate        uint16 = 5
	EDEBogus                uint16 = 6
	EDESignatureExpired     uint16 = 7
	EDESignatureNotYetValid uint16 = 8
	EDENoDNSKEY             uint16 = 9
	EDENoRRSIGs             uint16 = 10
	EDENoZoneKeyBit         uint16 = 11
	EDENoNSEC               uint16 = 12
	EDECachedError          uint16 = 13
	EDENotReady             uint16 = 14
	EDEBlocked              uint16 = 15
	EDECensored             uint16 = 16
	EDEFiltered             uint16 = 17
	EDEProhibited           uint16 = 18
	EDEStaleNXDomain        uint16 = 19
	EDENotSupported         uint16 = 21
	EDENoReachable          uint16 = 22
	EDENetwork              uint16 = 23
	EDEInvalidData          uint16 = 24
	EDEBlockedUpstream      uint16 = 35 // draft-ietf-dnsop-structured-dns-error
)

const (
	edeOption  uint16 = 15    // RFC 8914 section 2
	sdeOption  uint16 = 26    // draft-ietf-dnsop-structured-dns-error
	macOption  uint16 = 65001 // dnsmasq --add-mac, from the range for local use
	maxEDEText        = 128
	minUDP     uint16 = 512
	headerLen         = 12
	recordLen         = 10 // type, class, TTL and RDLENGTH: what follows a record's name
)

// UDPMax is the largest answer sent over UDP, and the size offered to others: the value of DNS Flag Day 2020, which
// crosses every usual path without fragments.
const UDPMax uint16 = 1232

// Bits of the header's two bytes of flags.
const (
	flagQR     byte = 0x80 // third byte of the message
	maskOpcode byte = 0x78
	flagAA     byte = 0x04
	flagTC     byte = 0x02
	flagRD     byte = 0x01
	flagRA     byte = 0x80 // fourth byte
	flagAD     byte = 0x20
	flagCD     byte = 0x10
	maskRCode  byte = 0x0f
)
