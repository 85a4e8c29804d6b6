package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
	"schoolgate/monitor/notice"
	"schoolgate/monitor/record"
	"schoolgate/resolver"
	"schoolgate/resolver/certificate"
	"schoolgate/resolver/listen"
	"schoolgate/resolver/query"
)

// Here the block page is given what it speaks of: the policy, the words of the configuration, and a place for what people
// ask for.

// openPage makes the block page, and takes the addresses that it is served at as far as they can be had.
func (a *appliance) openPage(cfg *config.Config) error {
	h, err := notice.New()
	if err != nil {
		return err
	}
	h.Log = part(a.log, "page")
	h.Judge = func(client netip.Addr, host domain.Name) query.Verdict {
		_, told := judged(a.resolver, client, host, time.Now())
		return told
	}
	h.Words = func() (config.Site, config.Page) {
		cfg := a.cfg.Load()
		return cfg.Site, cfg.Page
	}
	h.Keep = a.keepRequest
	a.page = h
	a.pageServer = &notice.Server{
		Addrs: cfg.Page.HTTP, Handler: h, Log: h.Log,
		Allowed: func(client netip.Addr) bool { return a.access.Standing(client) != listen.Outside },
	}
	a.pageServer.Open()
	return nil
}

// pageOverHTTPS has the page shown by HTTPS too: whoever asks for a refused name gets a certificate for it, which devices
// believe that trust the authority of block pages, and any other the box's own.
func (a *appliance) pageOverHTTPS(cfg *config.Config, e *listen.Encrypted) {
	if len(cfg.Page.HTTP) > 0 {
		e.Other = a.page
	}
	if !cfg.Page.HTTPS || len(e.HTTPS) == 0 {
		return
	}
	pages, err := certificate.OpenPages(keysOf(cfg), buildTime(), func(name domain.Name, client netip.Addr) bool {
		_, told := judged(a.resolver, client, name, time.Now())
		return told.Blocked()
	})
	if err != nil {
		a.pageErr = err
		a.log.Error("the authority of block pages cannot be had, so there are none by HTTPS", "error", err)
		return
	}
	e.PageCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		client, _ := netip.ParseAddrPort(hello.Conn.RemoteAddr().String())
		if c, err := pages.Page(hello.ServerName, client.Addr().Unmap().WithZone("")); err == nil {
			return c, nil
		}
		return a.box.Get(hello)
	}
}

// judged is what holds for a name and a client now, and what the client may be told of it.
func judged(r *resolver.Resolver, client netip.Addr, name domain.Name, now time.Time) (q *query.Query, told query.Verdict) {
	q = &query.Query{Start: now, Client: query.Client{Addr: client}}
	if err := q.Question.Name.SetName(name); err != nil {
		return q, told
	}
	told = r.Judge(q)
	return q, told
}

// storeWithin is how long the page waits for the record.
const storeWithin = 5 * time.Second

// keepRequest writes down what somebody asks for on the block page, and tells the technical lead that there is something. A
// name of the illegal tier is not written down, wherever in it it stands.
func (a *appliance) keepRequest(r notice.Request) error {
	q, _ := judged(a.resolver, r.Client, r.Host, r.At)
	s := a.resolver.State()
	hide := func(text string) string { return s.Policy.Tier().Withhold(text, record.Withheld) }
	kept := monitor.Request{
		At: r.At, Site: string(r.Host), Reason: cmp.Or(q.Verdict.Category, q.Verdict.Rule.String()), Device: q.Client.Device,
		Group: q.Client.Name, Name: hide(r.Name), Role: r.Role, Why: hide(r.Why),
	}
	if q.Verdict.Rule.Withheld() || s.BearsIllegal(string(r.Host)) {
		kept.Site, kept.Reason = record.Withheld, ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	id, err := a.store.AddRequest(ctx, kept)
	if err != nil {
		return err
	}
	a.countRequests(ctx)
	a.alerts.Requested(fmt.Sprintf("Somebody asks on the block page for a site to be looked at: request %d", id), "sudo schoolgate requests")
	return nil
}

// countRequests finds out how many requests wait for an answer.
func (a *appliance) countRequests(ctx context.Context) {
	all, err := a.store.Requests(ctx, time.Time{}, time.Time{})
	if err != nil {
		a.log.Warn("the requests of the block page cannot be read", "error", err)
		return
	}
	n := 0
	for _, r := range answered(a.standing.Load().book, all) {
		if r.Answered.IsZero() {
			n++
		}
	}
	a.asked.Store(int64(n))
}

// answered puts to requests what the log of changes says became of them.
func answered(b *change.Book, all []monitor.Request) []monitor.Request {
	for i := range all {
		r := &all[i]
		if e, ok := b.Answer(r.ID, r.At); ok {
			r.Answered, r.AnsweredBy, r.Answer = e.At, e.By, e.Why
		}
	}
	return all
}

// pageConditions says what is wrong with the block page, and whether somebody waits for an answer.
func (a *appliance) pageConditions(now time.Time) []monitor.Condition {
	if a.pageServer == nil {
		return nil
	}
	out := a.pageServer.Conditions(now)
	if a.pageErr != nil {
		out = append(out, monitor.Condition{
			Code: "page.authority", Severity: monitor.Warning, Title: "There is no block page by HTTPS: its certificate authority cannot be read",
			Hint: "The log of the process says why; without keys/page-authority.pem the box makes another at its next start, which devices must be given",
		})
	}
	if n := a.asked.Load(); n > 0 {
		verb := "wait"
		if n == 1 {
			verb = "waits"
		}
		out = append(out, monitor.Condition{
			Code: "page.requests", Severity: monitor.Notice, Title: count(int(n), "request") + " from the block page " + verb + " for an answer",
			Hint: "schoolgate requests shows them; schoolgate requests done NUMBER --by NAME --why TEXT answers one",
		})
	}
	return out
}
