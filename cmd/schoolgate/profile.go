package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"

	"schoolgate/config"
)

// profile is a configuration profile for Apple's systems: the authority to trust (nil for none), and the box as encrypted
// resolver. With names of wireless networks it holds in these alone, so that a device that goes home asks there as before.
func profile(cfg *config.Config, authority *x509.Certificate, e exporting) ([]byte, error) {
	name := string(cfg.Encrypted.Name)
	var seed []byte
	if authority != nil {
		seed = authority.Raw
	}
	p := &plist{}
	p.open("dict")
	p.key("PayloadContent").open("array")
	if authority != nil {
		p.open("dict")
		p.key("PayloadCertificateFileName").text("schoolgate.cer")
		p.key("PayloadContent").raw("data", base64.StdEncoding.EncodeToString(authority.Raw))
		p.payload("com.apple.security.root", "certificate", "Authority of "+name, uuid(seed, name, "certificate"))
		p.close("dict")
	}
	p.open("dict")
	p.key("DNSSettings").open("dict")
	switch {
	case len(cfg.Encrypted.HTTPS) > 0:
		p.key("DNSProtocol").text("HTTPS")
		p.key("ServerURL").text("https://" + name + port(firstPort(cfg.Encrypted.HTTPS), 443) + "/dns-query" + prefix("/", e.id))
	case len(cfg.Encrypted.TLS) > 0:
		p.key("DNSProtocol").text("TLS")
		host := name
		if e.id != "" {
			host = e.id + "." + name
		}
		p.key("ServerName").text(host)
	default:
		return nil, failed("set encrypted.https or encrypted.tls", "Apple's devices do not ask by QUIC alone")
	}
	if len(cfg.Encrypted.Addresses) > 0 {
		p.key("ServerAddresses").open("array")
		for _, a := range cfg.Encrypted.Addresses {
			p.text(a.String())
		}
		p.close("array")
	}
	p.close("dict")
	if len(e.ssids) > 0 {
		p.key("OnDemandRules").open("array").open("dict")
		p.key("Action").text("Connect").key("SSIDMatch").open("array")
		for _, s := range e.ssids {
			p.text(s)
		}
		p.close("array").close("dict").open("dict")
		p.key("Action").text("Disconnect").close("dict").close("array")
	}
	p.payload("com.apple.dnsSettings.managed", "dns", "Encrypted DNS of "+cfg.Site.Name, uuid(seed, name, "dns", e.id))
	p.close("dict").close("array")
	p.key("PayloadDescription").text("Questions for names of websites go encrypted to the filter of " + cfg.Site.Name + ".")
	p.key("PayloadOrganization").text(cfg.Site.Name)
	p.payload("Configuration", "", "Schoolgate of "+cfg.Site.Name, uuid(seed, name, "profile", e.id))
	p.close("dict")
	const head = xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n"
	return []byte(head + "<plist version=\"1.0\">\n" + p.String() + "</plist>\n"), nil
}

func port(n, usual uint16) string {
	if n == usual {
		return ""
	}
	return fmt.Sprintf(":%d", n)
}

func prefix(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// uuid is the same for the same things, so that a profile installed again replaces itself.
func uuid(seed []byte, of ...string) string {
	h := sha256.New()
	h.Write(seed)
	h.Write([]byte(strings.Join(of, "\x00")))
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8 of RFC 9562: of the maker's own making
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// plist writes a property list.
type plist struct{ strings.Builder }

func (p *plist) raw(tag, text string) *plist {
	fmt.Fprintf(p, "<%s>", tag)
	_ = xml.EscapeText(p, []byte(text)) // a Builder takes everything
	fmt.Fprintf(p, "</%s>\n", tag)
	return p
}

func (p *plist) key(s string) *plist  { return p.raw("key", s) }
func (p *plist) text(s string) *plist { return p.raw("string", s) }

func (p *plist) open(tag string) *plist {
	fmt.Fprintf(p, "<%s>\n", tag)
	return p
}

func (p *plist) close(tag string) *plist {
	fmt.Fprintf(p, "</%s>\n", tag)
	return p
}

// payload writes the keys that each payload has.
func (p *plist) payload(kind, part, shown, id string) {
	p.key("PayloadType").text(kind).key("PayloadVersion").raw("integer", "1")
	p.key("PayloadIdentifier").text("schoolgate" + prefix(".", part) + "." + id)
	p.key("PayloadUUID").text(id).key("PayloadDisplayName").text(shown)
}
