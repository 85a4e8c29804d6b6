package config

import (
	"errors"
	"net/mail"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

func (k *checker) alerts() {
	a := k.c.Alerts
	k.known("alerts.categories", a.Categories, BlockedUpstream, Rebinding)
	k.within("alerts.window", a.Window, time.Second, day)
	if len(a.Categories) == 0 {
		k.warnf("alerts.categories", `write categories = ["pornography", "hate", "extremism"]`, "nobody is told of any block but those of the illegal tier")
	}
	_, said := k.lines["alerts.categories"]
	for i, c := range a.Categories {
		if k.lines != nil && !said {
			break // nobody asked for the default ones
		}
		blocks := func(g Group) bool {
			return slices.Contains(g.Block, c) || slices.ContainsFunc(g.Hours, func(h Hours) bool { return slices.Contains(h.Block, c) })
		}
		if c != IllegalTier && slices.Contains(k.categories, c) && !slices.ContainsFunc(k.c.Groups, blocks) {
			k.warnf(element("alerts.categories", i), "add it to the block of a group", "no group blocks %q, so no alert will speak of it", c)
		}
	}
	k.recipients("alerts.dsl", a.DSL)
	k.recipients("alerts.technical", a.Technical)
	k.smtp(a)
}

func (k *checker) recipients(path string, addresses []string) {
	for i, a := range addresses {
		if !isMailAddress(a) {
			k.refusef(element(path, i), `write such as "dsl@school.example"`, "%q is no e-mail address", a)
		}
	}
	distinct(path, addresses, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", addresses[first])
	})
}

func isMailAddress(s string) bool {
	if len(s) > 320 || strings.ContainsFunc(s, unicode.IsControl) {
		return false
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		return false
	}
	_, host, _ := strings.Cut(a.Address, "@")
	return isHost(strings.Trim(host, "[]"))
}

func (k *checker) smtp(a Alerts) {
	s := a.SMTP
	k.within("alerts.smtp.timeout", s.Timeout, time.Second, 5*time.Minute)
	if s.Port < 1 || s.Port > 65535 {
		k.refusef("alerts.smtp.port", "write 587, or what the mail provider says", "%d is no port", s.Port)
	}
	if s.TLS == TLSImplicit && s.Port == 587 || s.TLS == TLSStartTLS && s.Port == 465 {
		k.warnf("alerts.smtp.tls", `587 goes with "starttls" and 465 with "tls"`, "%q on port %d is unusual", s.TLS, s.Port)
	}
	if (s.User == "") != (s.PasswordFile == "") {
		k.refusef("alerts.smtp.user", "give both user and password_file, or neither", "half of what signing in needs")
	}
	k.secretFile("alerts.smtp.password_file", s)
	if s.CAFile != "" {
		if why := unreadable(s.CAFile); why != "" {
			k.warnf("alerts.smtp.ca_file", "put the PEM file there, or leave it out to trust what the system trusts", "%q %s: alerts wait until it can be read", s.CAFile, why)
		}
	}
	if s.From != "" && !isMailAddress(s.From) {
		k.refusef("alerts.smtp.from", `write such as "schoolgate@school.example"`, "%q is no e-mail address", s.From)
	}
	given := k.lines != nil && !k.wrong["alerts"] // who runs without a file is trying things out
	if len(a.DSL) == 0 && (given || s.Host != "") {
		k.warnf("alerts.dsl", "write the safeguarding lead's address", "nobody gets the alerts of blocks")
	}
	if s.Host == "" {
		switch {
		case len(a.DSL)+len(a.Technical) > 0:
			k.warnf("alerts.smtp.host", "write the school's mail server", "there are recipients but no mail server: alerts wait, and nobody gets them")
		case given && !k.wrong["alerts.smtp"]:
			k.warnf("alerts.smtp.host", "write the school's mail server", "there is no mail server: alerts wait, and nobody gets them")
		}
		return
	}
	switch {
	case !isHost(s.Host) && strings.Count(s.Host, ":") == 1:
		k.refusef("alerts.smtp.host", "write the port as port = …", "%q is more than a host", s.Host)
	case !isHost(s.Host):
		k.refusef("alerts.smtp.host", `write such as "mail.school.example"`, "%q is no host", s.Host)
	case s.TLS == TLSNone && !isLoopback(s.Host):
		k.refusef("alerts.smtp.tls", `write "starttls" or "tls": alerts speak of children`, "mail without encryption is for a server on this machine only, and %q is none", s.Host)
	}
	if s.From == "" {
		k.refusef("alerts.smtp.from", `write such as "schoolgate@school.example"`, "mail needs a sender")
	}
}

// secretFile warns rather than refuses: a box whose mail is broken must go on filtering.
func (k *checker) secretFile(path string, s SMTP) {
	file := s.PasswordFile
	if file == "" {
		return
	}
	if why := unreadable(file); why != "" {
		k.warnf(path, "put the password on its first line, readable by the program", "%q %s: alerts wait until it can be read", file, why)
		return
	}
	if _, err := s.Password(); errors.Is(err, ErrNoPassword) {
		k.warnf(path, "put the password on its first line", "%q holds no password: alerts wait until it does", file)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o004 != 0 {
		k.warnf(path, "chmod o-r "+file, "every user of this machine can read %q", file)
	}
}

// unreadable says why a file cannot be used, "" when it can.
func unreadable(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return "is not there"
	}
	if !info.Mode().IsRegular() { // opening a pipe could wait for ever
		return "is no file"
	}
	f, err := os.Open(file)
	if err != nil {
		return "cannot be read by this user"
	}
	if err := f.Close(); err != nil {
		return "cannot be read by this user"
	}
	return ""
}
