package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"schoolgate/config"
	"schoolgate/monitor"
)

// refusal is a mail server's no to one mail.
type refusal struct {
	doing     string
	code      int
	text      string // the server's words; may hold the address, so it goes to the outbox and not to the log
	recipient bool   // it is the address that is refused
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: the server answered %d", r.doing, r.code) }

// permanent is RFC 5321 section 4.2.1: trying the same again is of no use. Code 0 is our own refusal.
func (r *refusal) permanent() bool { return r.code == 0 || r.code/100 == 5 }

// conn is a session with a real server. It talks to it by go-mail's SMTP client directly, because it must know at which
// step an error came: before the message, in it, or after the server had taken it.
type conn struct {
	net     net.Conn
	client  *smtp.Client
	from    *mail.Address
	timeout time.Duration
}

// dialSMTP connects, encrypts and logs in. The password is read from its file each time and kept nowhere else.
func dialSMTP(ctx context.Context, cfg config.SMTP) (session, error) {
	timeout := cfg.Timeout.Std()
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	if cfg.TLS == config.TLSNone && !loopbackHost(cfg.Host) {
		return nil, fmt.Errorf("connecting to the mail server: without TLS only on this machine, not to %q", cfg.Host)
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("reading the sender's address: %w", err)
	}
	tlsConf, err := tlsConfig(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	var nc net.Conn
	if cfg.TLS == config.TLSImplicit {
		nc, err = (&tls.Dialer{Config: tlsConf}).DialContext(ctx, "tcp", address)
	} else {
		nc, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to the mail server: %w", err)
	}
	stop := closeAfter(ctx, nc)
	defer stop()
	c := &conn{net: nc, from: from, timeout: timeout}
	if err := c.greet(cfg, tlsConf); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// closeAfter ends all waiting on nc when ctx does, until the function it returns is called.
func closeAfter(ctx context.Context, nc net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
}

func (c *conn) greet(cfg config.SMTP, tlsConf *tls.Config) error {
	client, err := smtp.NewClient(c.net, cfg.Host)
	if err != nil {
		return answered("greeting the mail server", err)
	}
	c.client = client
	if err := client.Hello(helloName(c.net)); err != nil {
		return answered("greeting the mail server", err)
	}
	if cfg.TLS == config.TLSStartTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return errors.New("encrypting: the mail server does not offer STARTTLS")
		}
		if err := client.StartTLS(tlsConf); err != nil {
			return answered("encrypting", err)
		}
	}
	if cfg.User == "" {
		return nil
	}
	if cfg.TLS == config.TLSNone {
		return errors.New("logging in: a password is sent over TLS only")
	}
	password, err := cfg.Password()
	if err != nil {
		return err
	}
	_, offered := client.Extension("AUTH")
	var auth smtp.Auth
	switch methods := strings.Fields(strings.ToUpper(offered)); {
	case slices.Contains(methods, "PLAIN"):
		auth = smtp.PlainAuth("", cfg.User, password, cfg.Host, false)
	case slices.Contains(methods, "LOGIN"):
		auth = smtp.LoginAuth(cfg.User, password, cfg.Host, false)
	default:
		return errors.New("logging in: the mail server offers neither PLAIN nor LOGIN")
	}
	if err := client.Auth(auth); err != nil {
		return answered("logging in", err)
	}
	return nil
}

func (c *conn) send(ctx context.Context, m monitor.Mail) error {
	c.net.SetDeadline(time.Now().Add(c.timeout))
	stop := closeAfter(ctx, c.net)
	defer stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text, err := render(m, c.from)
	if err != nil {
		return &refusal{doing: "writing the mail", text: err.Error(), recipient: true}
	}
	if err := c.client.Mail("<" + c.from.Address + ">"); err != nil {
		return answered("naming the sender", err)
	}
	if err := c.client.Rcpt("<" + m.To + ">"); err != nil {
		return c.refused("naming the recipient", true, err)
	}
	w, err := c.client.Data()
	if err != nil {
		return c.refused("starting the mail", false, err)
	}
	if _, err := w.Write(text); err != nil {
		return answered("sending the mail", err)
	}
	// From here on the server may take the mail at any moment: a stop waits for its answer, for as long as the deadline.
	if !stop() && ctx.Err() != nil {
		return ctx.Err()
	}
	if err := w.Close(); err != nil {
		return c.refused("handing over the mail", false, err)
	}
	return nil
}

// refused tells a server's no to this mail from the end of the connection, and makes the session ready for the next
// mail.
func (c *conn) refused(doing string, recipient bool, err error) error {
	reply, ok := errors.AsType[*textproto.Error](err)
	if !ok || reply.Code == 421 { // RFC 5321 section 3.8: the server is closing
		return answered(doing, err)
	}
	if err := c.client.Reset(); err != nil {
		return answered("starting over", err)
	}
	return &refusal{doing: doing, code: reply.Code, text: reply.Msg, recipient: recipient}
}

func (c *conn) close() {
	c.net.SetDeadline(time.Now().Add(min(c.timeout, 5*time.Second)))
	c.client.Quit() // the mails are sent; how the server says goodbye changes nothing
	c.net.Close()
}

// answered says what a server's reply was by its number alone: its words may hold addresses.
func answered(doing string, err error) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Errorf("%s: the mail server answered %d", doing, reply.Code)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// render makes the message. Its Message-ID depends on the mail's Key and the sender alone.
func render(m monitor.Mail, from *mail.Address) ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("recipient: %w", err)
	}
	_, host, _ := strings.Cut(from.Address, "@")
	msg.SetMessageIDWithValue(m.Key + "@" + host)
	msg.SetDate()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes in reply
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.Subject(m.Subject)
	msg.SetBodyString(gomail.TypeTextPlain, strings.ReplaceAll(m.Body, "\n", "\r\n"))
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return b.Bytes(), nil
}

func tlsConfig(cfg config.SMTP) (*tls.Config, error) {
	c := &tls.Config{ServerName: cfg.Host, MinVersion: tls.VersionTLS12}
	if cfg.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the CA file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA file %q: no certificate in it", cfg.CAFile)
	}
	return c, nil
}

// helloName is what RFC 5321 section 4.1.3 has a client say that has no public name.
func helloName(nc net.Conn) string {
	host, _, _ := net.SplitHostPort(nc.LocalAddr().String())
	host, _, _ = strings.Cut(host, "%")
	if strings.Contains(host, ":") {
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// clip keeps what others wrote short and on one line.
func clip(s string) string {
	s = line(s)
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "")
	}
	return s
}
