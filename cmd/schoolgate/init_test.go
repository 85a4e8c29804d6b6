package main

import (
	"slices"
	"strings"
	"testing"

	"schoolgate/config"
	"schoolgate/deploy"
)

// TestFilledIn: every answer finds its place in the recommended configuration, and what is preset changes nothing in it.
func TestFilledIn(t *testing.T) {
	preset := map[string]string{}
	for _, q := range initQuestions {
		preset[q.flag] = q.preset
		if err := q.accepts(q.preset); err != nil {
			t.Errorf("--%s does not take its own preset: %v", q.flag, err)
		}
	}
	recommended, problems := config.Check([]byte(deploy.Recommended), "recommended.toml")
	if problems.Refused() {
		t.Fatal(problems)
	}
	text, err := filledIn(deploy.Recommended, preset)
	if err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Check([]byte(text), "filled in")
	if problems.Refused() || !cfg.Equal(recommended) {
		t.Errorf("%v: %v", problems, config.Diff(recommended, cfg))
	}
	if strings.Count(text, "\n# ") < strings.Count(deploy.Recommended, "\n# ") {
		t.Error("notes are gone")
	}
	for _, word := range schoolCategories { // each can be left out alone
		answers := map[string]string{"categories": strings.Join(slices.DeleteFunc(slices.Clone(schoolCategories), func(c string) bool { return c == word }), ",")}
		for k, v := range preset {
			if _, ok := answers[k]; !ok {
				answers[k] = v
			}
		}
		text, err := filledIn(deploy.Recommended, answers)
		if err != nil {
			t.Fatal(err)
		}
		cfg, problems := config.Check([]byte(text), "without "+word)
		if problems.Refused() {
			t.Errorf("without %s: %v", word, problems)
		}
		for _, g := range cfg.Groups {
			if slices.Contains(g.Block, word) || !slices.Contains(g.Block, config.IllegalTier) {
				t.Errorf("without %s the group %s blocks %v", word, g.Name, g.Block)
			}
		}
		if slices.ContainsFunc(cfg.Lists, func(l config.List) bool { return l.Category == word }) {
			t.Errorf("without %s there is a list of it", word)
		}
	}
}

// TestFilledInMail: the port says how mail is encrypted, 465 from the first byte, every other by STARTTLS.
func TestFilledInMail(t *testing.T) {
	for smtp, want := range map[string]config.SMTP{
		"mail.school.example":      {Host: "mail.school.example", Port: 587, TLS: config.TLSStartTLS},
		"mail.school.example:465":  {Host: "mail.school.example", Port: 465, TLS: config.TLSImplicit},
		"mail.school.example:2525": {Host: "mail.school.example", Port: 2525, TLS: config.TLSStartTLS},
	} {
		answers := map[string]string{}
		for _, q := range initQuestions {
			answers[q.flag] = q.preset
		}
		answers["dsl"], answers["smtp"] = "dsl@school.example", smtp
		text, err := filledIn(deploy.Recommended, answers)
		if err != nil {
			t.Fatal(err)
		}
		cfg, problems := config.Check([]byte(text), smtp)
		if problems.Refused() {
			t.Fatal(problems)
		}
		if got := cfg.Alerts.SMTP; got.Host != want.Host || got.Port != want.Port || got.TLS != want.TLS {
			t.Errorf("%s: %+v", smtp, got)
		}
	}
}
