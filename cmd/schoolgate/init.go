package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"schoolgate/config"
	"schoolgate/deploy"
)

// initQuestion is one thing that init asks. It is a flag too, and who gives the flag is not asked.
type initQuestion struct {
	flag   string
	ask    string // in plain words
	more   string // a line of explanation, or ""
	preset string
	check  func(string) error // of an answer that is not empty
}

var initQuestions = []initQuestion{
	{"name", "What is the school called?", "", "Example School", plainText},
	{"ages", "Which pupils use the network: primary or secondary?", "Primary: YouTube at its strictest and no AI chat. Secondary: YouTube moderate, AI chat open.", "primary", oneOf("primary", "secondary")},
	{"staff", "Which network do staff devices use? Such as 192.0.2.0/26; several with commas; empty if none of its own.", "Whatever no network names is treated as a pupil's device.", "", networks},
	{"guests", "Which network do visitors use?", "", "", networks},
	{"categories", "Which categories may pupils not see?", "", strings.Join(schoolCategories, ","), someOf(schoolCategories)},
	{
		"upstream", "Who resolves allowed names: quad9, cloudflare-family, or addresses of your provider's filtered resolvers?",
		"An Internet provider that is an IWF member and enforces the police list (CTIRU) is best: ask it in writing. No public resolver replaces that.", "quad9", upstreams,
	},
	{"dsl", "Who gets alerts of grave blocks? The safeguarding lead's address; several with commas; empty for nobody yet.", "", "", mailAddresses},
	{"technical", "Who gets alerts of the box itself?", "", "", mailAddresses},
	{"smtp", "Which mail server takes them? Such as mail.school.example; empty for none yet.", "", "", plainText},
	{"router", "Which router hands out addresses: home, provider, openwrt, pfsense, or other?", "", "other", oneOf("home", "provider", "openwrt", "pfsense", "other")},
}

// schoolCategories are what the recommended configuration refuses to pupils, the illegal tier apart, which has no switch.
var schoolCategories = []string{
	config.Pornography, config.Hate, config.Extremism, config.Gaming, config.SocialMedia, config.Gambling, config.Circumvent,
	config.Dating, config.Chatbots,
}

func runInit(_ context.Context, c *call) error {
	f := flags("init")
	out, force, yes := f.String("out", "schoolgate.toml", ""), f.Bool("force", false, ""), f.Bool("yes", false, "")
	given := map[string]*string{}
	for _, q := range initQuestions {
		given[q.flag] = f.String(q.flag, q.preset, "")
	}
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if err := noArguments(f, rest); err != nil {
		return err
	}
	if _, err := os.Lstat(*out); err == nil && !*force {
		return usage("--force writes over it; --out FILE names another", "there is a %s already, and it was not touched", *out)
	}
	answers := map[string]string{}
	f.Visit(func(set *flag.Flag) {
		if v, ok := given[set.Name]; ok {
			answers[set.Name] = strings.TrimSpace(*v)
		}
	})
	if err := answerAll(c, answers, *yes); err != nil {
		return err
	}
	text, err := filledIn(deploy.Recommended, answers)
	if err != nil {
		return err
	}
	if _, problems := config.Check([]byte(text), *out); problems.Refused() {
		return usage("nothing was written; schoolgate help init", "these answers make no configuration:\n%v", problems)
	}
	if err := writeNew(*out, text, *force); err != nil {
		return failed("--out FILE names another place", "%v", err)
	}
	return nextSteps(c.stdout, *out, answers)
}

// answerAll fills in what no flag has answered, from the presets or from a person.
func answerAll(c *call, answers map[string]string, yes bool) error {
	lines := bufio.NewScanner(c.stdin)
	for _, q := range initQuestions {
		if v, ok := answers[q.flag]; ok {
			if err := q.accepts(v); err != nil {
				return usage("schoolgate help init", "--%s: %v", q.flag, err)
			}
			continue
		}
		if q.flag == "categories" && answers["ages"] == "secondary" {
			q.preset = strings.TrimSuffix(q.preset, ","+config.Chatbots)
		}
		answers[q.flag] = q.preset
		for tries := 0; !yes; tries++ {
			q.put(c.stderr)
			if !lines.Scan() {
				yes = true // nobody answers any more: what is preset holds
				break
			}
			v := strings.TrimSpace(lines.Text())
			if v == "" {
				break
			}
			err := q.accepts(v)
			if err == nil {
				answers[q.flag] = v
				break
			}
			fmt.Fprintf(c.stderr, "schoolgate: %v\n", err)
			if tries == 2 {
				return usage("schoolgate help init; nothing was written", "no answer that can be used")
			}
		}
	}
	return lines.Err()
}

func (q initQuestion) put(w io.Writer) {
	fmt.Fprintln(w, q.ask)
	if q.more != "" {
		fmt.Fprintln(w, "  "+q.more)
	}
	fmt.Fprintf(w, "  [%s]\n", q.preset)
}

func (q initQuestion) accepts(v string) error {
	if v == "" {
		return nil
	}
	return q.check(v)
}

// writeNew writes a file that must not be there yet, unless force.
func writeNew(path, text string, force bool) error {
	how := os.O_EXCL
	if force {
		how = os.O_TRUNC
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o600) // install -m gives the service its own
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

var guides = map[string]string{
	"home": "home-router.md", "provider": "provider-router.md", "openwrt": "openwrt.md", "pfsense": "pfsense-opnsense.md", "other": "README.md",
}

// nextSteps says what a person does now.
func nextSteps(w io.Writer, path string, answers map[string]string) error {
	steps := []string{
		"Read " + path + ": the licences of the lists that you accept by naming them, the notes on what they do not cover, and the dates of terms.",
		"schoolgate check " + path,
	}
	if answers["dsl"] == "" || answers["smtp"] == "" {
		steps = append(steps, "Fill in dsl and smtp under [alerts] as soon as you can: until then nobody is told of anything.")
	} else {
		steps = append(steps, "Put the password of the mail account into /etc/schoolgate/smtp-password (mode 600).")
	}
	if !strings.Contains(answers["upstream"], ".") && !strings.Contains(answers["upstream"], ":") {
		steps = append(steps, "Ask your Internet provider, in writing, whether its resolvers enforce the IWF and CTIRU lists, and put them under [upstream] if so.")
	}
	steps = append(steps,
		"Write this box's fixed address into addresses under [encrypted] before the first start: its certificate is made for it. Or take [encrypted] out.",
		"sudo install -D -m 644 "+path+" /etc/schoolgate/schoolgate.toml && sudo systemctl enable --now schoolgate",
		"sudo schoolgate lists update, then schoolgate lists",
		"Point the network's devices at this box: deploy/routers/"+guides[answers["router"]],
		"schoolgate explain NAME shows what becomes of a name, for each group.",
	)
	var b strings.Builder
	fmt.Fprintf(&b, "%s is written. Next:\n", path)
	for i, s := range steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func plainText(s string) error {
	if len(s) > 100 || printable(s) != s {
		return errors.New("write at most 100 plain characters")
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
		}
		return nil
	}
}

func someOf(words []string) func(string) error {
	return func(s string) error {
		for _, w := range commas(s) {
			if err := oneOf(words...)(w); err != nil {
				return err
			}
		}
		return nil
	}
}

func networks(s string) error {
	for _, n := range commas(s) {
		var c config.Client
		if err := c.UnmarshalText([]byte(n)); err != nil {
			return fmt.Errorf("%q is no network such as 192.0.2.0/26: %w", n, err)
		}
	}
	return nil
}

func mailAddresses(s string) error {
	for _, a := range commas(s) {
		if user, host, ok := strings.Cut(a, "@"); !ok || user == "" || host == "" || strings.ContainsAny(a, " \"<>") {
			return fmt.Errorf("%q is no mail address", a)
		}
	}
	return nil
}

func upstreams(s string) error {
	if _, ok := resolvers[s]; ok {
		return nil
	}
	for _, a := range commas(s) {
		var server config.Server
		if err := server.UnmarshalText([]byte(a)); err != nil {
			return fmt.Errorf("%q is neither quad9 nor cloudflare-family nor a resolver: %w", a, err)
		}
	}
	return nil
}

// commas splits an answer of several.
func commas(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
}
