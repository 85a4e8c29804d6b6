package resolver

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// Office is who refuses, for clients that want the reason of a refusal as structured data
// (draft-ietf-dnsop-structured-dns-error-27): an object of s (sub-error), c (contact), j (justification), o (organisation)
// and l (language). A nil Office names nobody. It is immutable.
type Office struct {
	contact string // `,"c":["mailto:…"]`, or ""
	heads   [subErrors]string
	tail    string
}

// What kind of refusal it is, by the registry of the draft: network operator policy, but for names that were refused
// for what they do.
const (
	noSubError = iota // none that goes with the code
	malware
	phishing
	spam
	spyware
	policyOfNetwork
	subErrors
)

// language is that of every text here.
const language = "en-GB"

// NewOffice makes the Office of an organisation that is reached by contact: URIs of the schemes mailto and tel, the only
// ones that clients heed.
func NewOffice(organisation string, contact []string) *Office {
	o := &Office{tail: `"}`}
	if len(contact) > 0 {
		o.contact = `,"c":` + text(contact)
	}
	for sub := range o.heads {
		o.heads[sub] = object(sub, o.contact+`,"j":"`)
	}
	o.tail = `","l":"` + language + `"}`
	if organisation != "" {
		o.tail = `","o":` + text(organisation) + `,"l":"` + language + `"}`
	}
	return o
}

// object begins an object with its sub-error, if it has one, and goes on with rest, which begins with a comma.
func object(sub int, rest string) string {
	if sub == noSubError {
		return "{" + strings.TrimPrefix(rest, ",")
	}
	return `{"s":` + strconv.Itoa(sub) + rest
}

// text is v in JSON, without the escapes that HTML would need.
func text(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // of a string or some
	}
	return strings.TrimSpace(b.String())
}

// form is how much is told.
type form uint8

// The forms, from most to least. A client that has not proven its address is not told much, or a stranger could have
// it flooded with answers; nor does one that cannot take long answers get more than it can take.
const (
	whole form = iota
	brief      // without text and organisation
	bare       // the sub-error alone
	mute       // the code alone
)

var bares = [subErrors]string{"", `{"s":1}`, `{"s":2}`, `{"s":3}`, `{"s":4}`, `{"s":5}`}

// tell puts a reason into a form. It does not allocate, for an Office that is not nil.
func (o *Office) tell(f form, why wire.EDE, sub int) wire.EDE {
	told := wire.EDE{Code: why.Code}
	switch {
	case f == whole && plain(why.Text):
		told.Head, told.Text, told.Tail = o.heads[sub], why.Text, o.tail
	case f <= brief && o.contact != "" && sub == noSubError:
		told.Head, told.Tail = "{"+o.contact[1:], "}"
	case f <= brief && o.contact != "":
		told.Head, told.Tail = bares[sub][:len(bares[sub])-1], o.contact+"}"
	case f <= bare && sub != noSubError:
		told.Head = bares[sub]
	case f <= bare:
		return why // an object must say something
	}
	return told
}

// plain says whether a text means the same inside a JSON string.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// subError is the kind of a refusal, as far as the client may be told of it.
func subError(told *query.Verdict, code uint16) int {
	if told.Rule == query.Category {
		switch told.Category {
		case "malware":
			return malware
		case "phishing":
			return phishing
		case "spam":
			return spam
		case "spyware":
			return spyware
		}
	}
	if code != wire.EDEBlocked {
		return noSubError // the policy of another
	}
	return policyOfNetwork
}
