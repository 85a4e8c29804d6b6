package main

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"schoolgate/config"
)

// resolvers are the public resolvers that init knows by a word.
var resolvers = map[string][]string{
	"quad9":             {"tls://9.9.9.9#dns.quad9.net", "tls://149.112.112.112#dns.quad9.net"},
	"cloudflare-family": {"tls://1.1.1.3#family.cloudflare-dns.com", "tls://1.0.0.3#family.cloudflare-dns.com"},
}

// draft is a configuration under way, line by line, so that the notes in it stay.
type draft struct {
	lines []string
	err   error // the first line that was not there, which a test rules out
}

// filledIn puts answers into the recommended configuration.
func filledIn(text string, answers map[string]string) (string, error) {
	d := &draft{lines: strings.Split(text, "\n")}
	d.set("[site]", "name", strconv.Quote(answers["name"]))
	servers := commas(answers["upstream"])
	if known, ok := resolvers[answers["upstream"]]; ok {
		servers = known
	}
	d.set("[upstream]", "servers", array(servers))
	for _, group := range []string{"staff", "guests"} {
		if own := commas(answers[group]); len(own) > 0 {
			d.set(group, "clients", array(own))
		}
	}
	if answers["ages"] == "secondary" {
		d.set("children", "youtube", `"moderate"`)
	}
	d.only(commas(answers["categories"]))
	for _, who := range []string{"dsl", "technical"} {
		if mails := commas(answers[who]); len(mails) > 0 {
			d.set("[alerts]", who, array(mails))
		}
	}
	if answers["smtp"] != "" {
		d.mail(answers)
	}
	return strings.Join(d.lines, "\n"), d.err
}

// mail takes the table of the mail server in.
func (d *draft) mail(answers map[string]string) {
	host, port, err := net.SplitHostPort(answers["smtp"])
	if err != nil {
		host, port = answers["smtp"], ""
	}
	from := "schoolgate@" + host
	if mails := commas(answers["dsl"] + "," + answers["technical"]); len(mails) > 0 {
		_, domain, _ := strings.Cut(mails[0], "@")
		from = "schoolgate@" + domain
	}
	const table = "[alerts.smtp]"
	d.set(table, "host", strconv.Quote(host))
	d.set(table, "user", strconv.Quote(from))
	d.set(table, "from", strconv.Quote(from))
	d.set(table, "password_file", `"/run/credentials/schoolgate.service/smtp-password"`)
	var more []string
	if port != "" && port != "587" {
		more = append(more, "port = "+port)
	}
	if port == "465" {
		more = append(more, `tls = "tls"`)
	}
	d.lines = slices.Insert(d.lines, d.header(table)+1, more...)
}

// only leaves out lists of categories that are not wanted, and takes those out of groups and alerts.
func (d *draft) only(wanted []string) {
	keep := append([]string{config.IllegalTier}, wanted...)
	for i, line := range d.lines {
		for _, key := range []string{"block", "categories"} {
			if words, ok := strings.CutPrefix(line, key+" = ["); ok && strings.HasSuffix(words, `"]`) {
				said := strings.FieldsFunc(words, func(r rune) bool { return strings.ContainsRune("\"], ", r) })
				d.lines[i] = key + " = " + array(slices.DeleteFunc(said, func(c string) bool { return !slices.Contains(keep, c) }))
			}
		}
	}
	var out []string
	skip := false
	for _, line := range d.lines {
		if m := heading.FindStringSubmatch(line); m != nil {
			skip = !slices.ContainsFunc(commas(m[1]), func(c string) bool { return slices.Contains(keep, c) })
		} else if strings.HasPrefix(line, "[update]") {
			skip = false
		}
		if !skip {
			out = append(out, line)
		}
	}
	d.lines = out
}

// heading begins the lists of one category, or of some.
var heading = regexp.MustCompile(`^# ([a-z-]+(?:, [a-z-]+)*) -{20,}$`)

// set writes a key of a table, or of the group of that name. A table or key that is there as a comment is taken in.
func (d *draft) set(table, key, value string) {
	at := d.header(table)
	for i := at + 1; at >= 0 && i < len(d.lines); i++ {
		bare := strings.TrimPrefix(d.lines[i], "# ")
		if strings.HasPrefix(d.lines[i], "[") || strings.HasPrefix(bare, "[[") {
			break
		}
		if strings.HasPrefix(bare, key+" = ") {
			d.lines[at] = strings.TrimPrefix(d.lines[at], "# ")
			d.lines[i] = key + " = " + value
			return
		}
	}
	if d.err == nil {
		d.err = fmt.Errorf("the recommended configuration has no %s in %s", key, table)
	}
}

// header finds the line that opens a table, or that names a group.
func (d *draft) header(table string) int {
	return slices.IndexFunc(d.lines, func(line string) bool {
		return strings.TrimPrefix(line, "# ") == table || line == `name = "`+table+`"`
	})
}

// array writes words as TOML does.
func array(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
