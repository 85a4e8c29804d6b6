package notice

import (
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// byCategory is how the categories that may be told are called to children.
var byCategory = map[string]string{
	config.Gaming:      "games",
	config.SocialMedia: "pages for chatting and sharing with other people (social media)",
	config.Gambling:    "pages for playing or betting with money",
	config.Circumvent:  "pages that go around the school's filter",
	config.Dating:      "dating pages",
	config.Chatbots:    "computer programs that chat or make pictures (AI)",
	"malware":          "pages that can harm this device",
	"phishing":         "pages that try to trick people",
}

// why says in one sentence why a page is closed.
func why(told query.Verdict) string {
	switch told.Rule { //nolint:exhaustive // all others are told alike
	case query.Stopped:
		return "The school has switched off the internet on this device for now."
	case query.Approved:
		return "On this device only those pages are open that the school has chosen."
	case query.Bypass:
		return "This page goes around the school's filter."
	case query.SafeSearch:
		return "This search page cannot be made safe. Please use another one."
	case query.Lookalike:
		return "This page has nearly the same name as another one, and may want to trick you."
	case query.Category:
		if words, ok := byCategory[told.Category]; ok {
			return "The school has closed " + words + " on this device."
		}
	}
	return "The school has closed this page."
}
