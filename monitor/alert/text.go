package alert

import (
	"fmt"
	"strings"

	"schoolgate/monitor"
)

const clearedPrefix = "Over: "

// compose makes the mails of an episode's alert, once it has its number. They leave the box unencrypted in the end, so
// they hold no device, no address of one, no site and no name of a person: what happened, how grave it is, when, and
// where to look.
func compose(r *rules, a monitor.Alert, ep *episode) []monitor.Mail {
	subject, body := words(r, a, ep.hint)
	var mails []monitor.Mail
	for i, to := range recipients(r, a, ep.wide) {
		mails = append(mails, monitor.Mail{
			AlertID: a.ID, Key: fmt.Sprintf("alert.%s.%d", ep.nonce, i), To: to, Subject: subject, Body: body,
		})
	}
	return mails
}

// recipients routes an alert: blocks to every DSL address; the illegal tier to more than one person, so to the
// technical ones as well when there are not two DSL addresses; the box itself to the technical addresses, when it is
// critical to the DSL too, and to the DSL alone when there is nobody technical.
func recipients(r *rules, a monitor.Alert, wide bool) []string {
	dsl, technical := addresses(r.Alerts.DSL), addresses(r.Alerts.Technical)
	switch a.Kind {
	case monitor.Blocked:
		return dsl
	case monitor.Illegal:
		if len(dsl) >= 2 {
			return dsl
		}
	case monitor.System:
		if a.Severity < monitor.Critical && !wide && len(technical) > 0 {
			return technical
		}
	}
	return addresses(dsl, technical)
}

// addresses joins lists without repeating an address.
func addresses(lists ...[]string) []string {
	var out []string
	seen := make(map[string]bool)
	for _, l := range lists {
		for _, a := range l {
			if k := strings.ToLower(a); !seen[k] {
				seen[k] = true
				out = append(out, a)
			}
		}
	}
	return out
}

func words(r *rules, a monitor.Alert, hint string) (subject, body string) {
	what := a.Category
	switch {
	case a.Kind == monitor.System:
		what = "the box, " + a.Code
		switch a.Code {
		case CodeOpened:
			what = "the filter was opened"
		case CodeRequest:
			what = "a site is to be looked at"
		}
	case a.Kind == monitor.Illegal:
		what = "a site on the illegal list was refused"
	}
	if a.Code == CodeMore {
		what = "more of the same"
	}
	if a.Group != "" {
		what += ", group " + a.Group
	}
	subject = line(fmt.Sprintf("[Schoolgate] Alert %d: %s", a.ID, what))

	var b strings.Builder
	switch {
	case a.Code == CodeMore:
		prose(&b, moreText)
	case a.Kind == monitor.Illegal:
		prose(&b, illegalText)
	case a.Kind == monitor.System && a.Severity < monitor.Warning && a.Code != CodeRequest:
		b.WriteString("This is over since the time below:\n\n")
		fill(&b, "  ", "  ", strings.TrimPrefix(a.Text, clearedPrefix))
	case a.Kind == monitor.System:
		opening, more := "Schoolgate reports a problem of its own:", "What to do: "
		switch a.Code {
		case CodeOpened:
			opening, more = "What the filter refuses has become less:", ""
		case CodeRequest:
			opening = "A message for you:"
		}
		b.WriteString(opening + "\n\n")
		fill(&b, "  ", "  ", a.Text)
		if hint != "" {
			b.WriteString("\n")
			fill(&b, more, "", hint)
		}
	default:
		prose(&b, blockedText)
	}
	b.WriteString("\n")
	fact := func(name, value string) {
		if value != "" {
			fill(&b, fmt.Sprintf("%-10s ", name+":"), strings.Repeat(" ", 11), value)
		}
	}
	fact("School", r.School)
	fact("Alert", fmt.Sprint(a.ID))
	fact("Severity", a.Severity.String())
	if a.Kind != monitor.System {
		fact("Category", a.Category)
		fact("Group", a.Group)
	}
	fact("Time", a.First.In(r.Location).Format("Monday 2 January 2006, 15:04 MST"))
	b.WriteString("\n")
	switch {
	case a.Kind != monitor.System: // the state of the box is for root alone, and a safeguarding lead has no account there
		fill(&b, "", "", fmt.Sprintf("Ask whoever looks after the box to show you alert %d:", a.ID))
	case len(r.Alerts.Technical) == 0:
		fill(&b, "", "", "Please pass this on to whoever looks after the box. To see it there:")
	default:
		fill(&b, "", "", "To see it on the box:")
	}
	fmt.Fprintf(&b, "\n    sudo schoolgate alerts show %d\n\n", a.ID)
	prose(&b, footer)
	return subject, b.String()
}

// columns is the most of a line. Quoted-printable breaks longer ones than 76 (RFC 2045 section 6.7), which not every
// mail program mends.
const columns = 72

// prose writes paragraphs, which an empty line parts.
func prose(b *strings.Builder, text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		fill(b, "", "", paragraph)
	}
}

// fill writes text in lines of at most columns, broken between words. The first line begins with first, all others with
// rest. However the text is broken in the configuration, it cannot look like other facts: a line of its own begins with
// rest.
func fill(b *strings.Builder, first, rest, text string) {
	b.WriteString(first)
	width, fresh := encoded(first), true
	for word := range strings.FieldsSeq(line(text)) {
		switch {
		case fresh:
			fresh = false
		case width+1+encoded(word) > columns:
			b.WriteString("\n" + rest)
			width = encoded(rest)
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += encoded(word)
	}
	b.WriteByte('\n')
}

// encoded is how many columns s takes in quoted-printable.
func encoded(s string) int {
	n := len(s)
	for i := range len(s) {
		if s[i] == '=' || s[i] >= 0x7f {
			n += 2
		}
	}
	return n
}

// line keeps text from the configuration on one line, so that it cannot add headers or look like other facts.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

const blockedText = `A site was refused to a device because of its category. Further blocks of the same device and site are
counted in this alert and not mailed again while they go on.

A refused site need not mean that somebody looked for it: pages and apps ask for other sites by themselves. Have the
details shown to you, and follow your safeguarding policy.
`

const moreText = `There were so many alerts within an hour that further ones are not mailed one by one. They are counted in
this alert until the hour is over; the details on the box say how many they were.

Many different sites in a short time can be a person who tries what is open, or a program gone wrong. It is worth looking
at today.
`

const illegalText = `A site on the illegal list was refused to a device. Schoolgate does not keep or send the name of such a
site.

Tell the head teacher and all designated safeguarding leads now, and write down the number and time of this alert. Do not
try to find or open the site, do not search or copy anything from the device, and let no one use it: looking can itself
be an offence and can spoil evidence.

If a child may be in danger, ring the police on 999 at once; for other concerns that a crime was committed or a child is
being abused or groomed online, report to the police on 101 or to CEOP (www.ceop.police.uk). If anybody has come across
images of child sexual abuse online, report where to the Internet Watch Foundation (report.iwf.org.uk) without sending or
copying the images, and take the advice of the police before you question anyone.

One refusal alone is no proof that somebody looked for it: links, advertisements and programs ask for sites by
themselves.
`

const footer = `This mail holds no name of a device, a person or a site, because mail is not private. Please do not reply to it.
`
