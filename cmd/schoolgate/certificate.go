package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"

	"schoolgate/config"
	"schoolgate/resolver/certificate"
)

// runCertificate is the command certificate: what the box shows to those who ask encrypted, and what they are to trust.
func runCertificate(_ context.Context, c *call) error {
	f := flags("certificate")
	where := configFlag(f)
	asJSON := f.Bool("json", false, "")
	page := f.Bool("page", false, "")
	form := f.String("format", "pem", "")
	id := f.String("id", "", "")
	var ssids words
	f.Var(&ssids, "ssid", "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) > 1 || len(rest) == 1 && rest[0] != "show" && rest[0] != "export" {
		return usage("schoolgate certificate, or schoolgate certificate export", "unexpected argument %q", strings.Join(rest, " "))
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	kept, err := certificate.Read(keysOf(cfg))
	if errors.Is(err, fs.ErrPermission) {
		return failed("run it as root, or as the service's user: the keys lie beside the certificates", "%v", err)
	}
	if err != nil {
		return failed("restore the file from a backup; if there is none, remove it, and the box makes another, which devices must be given again", "%v", err)
	}
	leaf := kept.Box
	if cfg.Encrypted.CertFile != "" {
		pair, err := certificate.LoadFiles(cfg.Encrypted.CertFile, cfg.Encrypted.KeyFile)
		if err != nil {
			return failed("schoolgate check says what is wrong with the files", "%v", err)
		}
		leaf, kept.Authority = pair.Leaf, nil
	}
	if len(rest) == 1 && rest[0] == "export" {
		return exportCertificate(c, cfg, kept, exporting{form: *form, id: *id, ssids: ssids, page: *page})
	}
	if leaf == nil && kept.Authority == nil && kept.PageAuthority == nil {
		return failed("set encrypted.name and an address in encrypted.tls, https or quic, and start the service", "there is no certificate yet")
	}
	if *asJSON {
		return json.NewEncoder(c.stdout).Encode(map[string]*certificateLine{
			"certificate": lineOf(leaf), "authority": lineOf(kept.Authority), "page_authority": lineOf(kept.PageAuthority),
		})
	}
	return certificateTable(c, cfg, leaf, kept)
}

// words is a flag that may be given several times.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }

// Set takes one more.
func (w *words) Set(s string) error {
	*w = append(*w, s)
	return nil
}

// certificateLine is one certificate, for programs.
type certificateLine struct {
	Subject   string    `json:"subject"`
	Names     []string  `json:"names,omitempty"`
	Addresses []string  `json:"addresses,omitempty"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	SHA256    string    `json:"sha256"`
	Pin       string    `json:"pin"`
}

func lineOf(c *x509.Certificate) *certificateLine {
	if c == nil {
		return nil
	}
	l := &certificateLine{
		Subject: c.Subject.String(), Names: c.DNSNames, From: c.NotBefore, Until: c.NotAfter,
		SHA256: fingerprint(c), Pin: pin(c),
	}
	for _, ip := range c.IPAddresses {
		l.Addresses = append(l.Addresses, ip.String())
	}
	return l
}

// fingerprint is what devices show of a certificate, for people to compare.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// pin is the hash of the public key that programs are told to insist on (RFC 7858 appendix A).
func pin(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func certificateTable(c *call, cfg *config.Config, leaf *x509.Certificate, kept certificate.Kept) error {
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	one := func(what string, c *x509.Certificate, more string) {
		if c == nil {
			return
		}
		l := lineOf(c)
		fmt.Fprintf(w, "%s\t%s\n", what, l.Subject)
		if len(l.Names)+len(l.Addresses) > 0 {
			fmt.Fprintf(w, "  for\t%s\n", strings.Join(append(l.Names, l.Addresses...), ", "))
		}
		fmt.Fprintf(w, "  valid\t%s to %s%s\n  SHA-256\t%s\n  pin\t%s\n", l.From.Format(time.DateOnly), l.Until.Format(time.DateOnly), more, l.SHA256, l.Pin)
	}
	renewed := ""
	if cfg.Encrypted.CertFile == "" {
		renewed = ", replaced in time by the box"
	}
	one("certificate", leaf, renewed)
	one("authority", kept.Authority, "")
	one("authority of block pages", kept.PageAuthority, "")
	if err := w.Flush(); err != nil {
		return err
	}
	if kept.Authority != nil {
		fmt.Fprintln(c.stdout, "\nschoolgate certificate export writes the authority, which devices are to trust; its key never leaves the box.")
	}
	return nil
}

// exporting is what is asked of an export.
type exporting struct {
	form, id string
	ssids    []string
	page     bool
}

// exportCertificate writes what devices are to trust, and for Apple's what they are to ask.
func exportCertificate(c *call, cfg *config.Config, kept certificate.Kept, e exporting) error {
	authority := kept.Authority
	if e.page {
		authority = kept.PageAuthority
	}
	if e.form == "mobileconfig" && !e.page && cfg.Encrypted.On() {
		if e.id != "" && !knownID(cfg, e.id) {
			return failed("give a device that id in the configuration first", "no device has the id %q", e.id)
		}
		text, err := profile(cfg, authority, e)
		if err != nil {
			return err
		}
		_, err = c.stdout.Write(text)
		return err
	}
	if authority == nil {
		hint := "it is made when the service starts with [encrypted] and without cert_file"
		if e.page {
			hint = "it is made when the service starts with page.https = true"
		}
		return failed(hint, "there is no authority to export")
	}
	switch e.form {
	case "pem":
		_, err := c.stdout.Write(certificate.PEM(authority))
		return err
	case "der":
		_, err := c.stdout.Write(authority.Raw)
		return err
	}
	return usage("--format takes pem, der or mobileconfig, the last with [encrypted] in the configuration", "no format %q here", e.form)
}

func knownID(cfg *config.Config, id string) bool {
	for _, d := range cfg.Devices {
		if d.ID == id {
			return true
		}
	}
	return false
}
