package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/resolver"
	"schoolgate/resolver/certificate"
	"schoolgate/resolver/listen"
)

// openBox has the certificate ready that the box shows to those who ask encrypted; without encrypted transports there is
// none.
func (a *appliance) openBox(cfg *config.Config) {
	if !cfg.Encrypted.On() {
		return
	}
	// The library for QUIC would otherwise tell, past our log, that the system gives smaller buffers than it wishes for.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	a.box = &certificate.Box{Dir: keysOf(cfg), Built: buildTime(), Log: part(a.log, "certificate")}
	a.box.Set(boxSettings(cfg))
}

// keysOf is the folder of keys.
func keysOf(cfg *config.Config) string { return filepath.Join(cfg.Store.Path, "keys") }

func boxSettings(cfg *config.Config) certificate.Settings {
	return certificate.Settings{
		Names:    certificate.Names{Host: string(cfg.Encrypted.Name), Addrs: cfg.BoxAddrs()},
		CertFile: cfg.Encrypted.CertFile, KeyFile: cfg.Encrypted.KeyFile,
	}
}

// reloadBox takes over another name or certificate, and reads files again.
func (a *appliance) reloadBox(cfg *config.Config) {
	if a.box != nil {
		a.box.Set(boxSettings(cfg))
		a.box.Look()
	}
}

// encrypted is what the listener serves over encrypted transports, nil for nothing.
func (a *appliance) encrypted(cfg *config.Config) *listen.Encrypted {
	if a.box == nil {
		return nil
	}
	e := cfg.Encrypted
	out := &listen.Encrypted{TLS: e.TLS, HTTPS: e.HTTPS, QUIC: e.QUIC, Certificate: a.box.Get, Ident: a.ident}
	a.pageOverHTTPS(cfg, out)
	return out
}

// ident is what a client calls itself in the server name that it asks for: the label below the box's name.
func (a *appliance) ident(serverName string) string {
	name := strings.ToLower(strings.TrimSuffix(serverName, "."))
	label, below := strings.CutSuffix(name, "."+string(a.cfg.Load().Encrypted.Name))
	if !below || strings.Contains(label, ".") {
		return ""
	}
	return label
}

// own is what the resolver answers for the box itself; nil for nothing, and as long as it does not listen.
func (a *appliance) own(cfg *config.Config) *resolver.Own {
	if a.server == nil || a.server.Encrypted == nil || cfg.Encrypted.Name == "" {
		return nil
	}
	overTLS, https, quic := a.server.Encrypted.Bound()
	o := resolver.Own{
		Name: domain.Name(cfg.Encrypted.Name), Addrs: cfg.BoxAddrs(),
		TLS: firstPort(overTLS), HTTPS: firstPort(https), QUIC: firstPort(quic),
	}
	if cfg.Encrypted.Announce {
		o.Verifies = a.box.Has
	}
	return resolver.NewOwn(o)
}

// firstPort is the port of a transport, 0 when it is not served.
func firstPort(addrs []netip.AddrPort) uint16 {
	if len(addrs) == 0 {
		return 0
	}
	return addrs[0].Port()
}

// How long before a certificate ends people are told. Those of the box's own authority are replaced long before.
const (
	expiryNotice  = 30 * 24 * time.Hour
	expiryWarning = 7 * 24 * time.Hour
)

// certificateConditions says what is wrong with the certificate of the box.
func (a *appliance) certificateConditions(now time.Time) (out []monitor.Condition) {
	if a.box == nil {
		return nil
	}
	out = a.unserved()
	s := a.box.Status()
	const see = "schoolgate certificate shows it; docs/encrypted.md says what to do"
	switch {
	case s.Leaf == nil:
		out = append(out, monitor.Condition{
			Code: "certificate.failing", Severity: monitor.Critical, Since: s.Since,
			Title: "There is no certificate: encrypted DNS does not work, plain DNS does", Hint: "The log of the process says why; " + see,
		})
		return out
	case s.Err != nil:
		out = append(out, monitor.Condition{
			Code: "certificate.failing", Severity: monitor.Warning, Since: s.Since,
			Title: "The certificate for encrypted DNS cannot be read or renewed, the one before is in use", Hint: "The log of the process says why; " + see,
		})
	}
	if _, _, wrong := a.clock.Wrong(); wrong {
		return out // by such a clock nothing can be said of an end
	}
	left, severity := s.Leaf.NotAfter.Sub(now), monitor.Notice
	title := fmt.Sprintf("The certificate for encrypted DNS ends on %s", dayOf(s.Leaf.NotAfter))
	switch {
	case left > expiryNotice:
		return out
	case left <= 0:
		severity, title = monitor.Critical, fmt.Sprintf("The certificate for encrypted DNS ended on %s: devices refuse it", dayOf(s.Leaf.NotAfter))
	case left <= expiryWarning:
		severity = monitor.Warning
	}
	hint := "Put a new certificate in the place of the files that encrypted.cert_file and encrypted.key_file name; it is read at once"
	if s.Authority != nil {
		hint = "It should have been replaced by now; " + see
	}
	return append(out, monitor.Condition{Code: "certificate.expiring", Severity: severity, Title: title, Hint: hint})
}

// unserved says which addresses of encrypted DNS could not be had.
func (a *appliance) unserved() (out []monitor.Condition) {
	if a.server == nil || a.server.Encrypted == nil {
		return nil
	}
	for _, f := range a.server.Encrypted.Failed() {
		hint := f.Hint()
		if hint == "" {
			hint = "Check [encrypted], and the network of this machine"
		}
		out = append(out, monitor.Condition{
			Code: "encrypted.unserved", Severity: monitor.Warning, Hint: hint + "; then restart the service",
			Title: fmt.Sprintf("Encrypted DNS cannot be served at %v; plain DNS works", f.Addr),
		})
	}
	return out
}

// meterCertificate tells when the certificate ends; ok is false when there is none.
func (a *appliance) meterCertificate() (end time.Time, ok bool) {
	if a.box == nil {
		return end, false
	}
	leaf := a.box.Status().Leaf
	if leaf == nil {
		return end, false
	}
	return leaf.NotAfter, true
}
