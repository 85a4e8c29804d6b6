package resolver

import (
	"schoolgate/config"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// blockTTL is how long a refusal may be kept, in seconds: short, since a teacher who asks for a site to be allowed
// should not have to wait, long enough that a page with a hundred blocked pictures asks once.
const blockTTL = 60

// Reasons that go with answers (RFC 8914). The words are for a person who reads them in a tool or a browser's details;
// they name no list, and no more than policy.Told lets a client know. The code is Blocked for zero and page answers too,
// and not Forged Answer: it says whose will it is, and structured data goes with no other.
var (
	blocked     = wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: blocked by the school's filter"}
	stopped     = wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: no internet for this device now"}
	unapproved  = wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: not on the approved list of this group"}
	unsafe      = wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: this search has no safe form that can be enforced"}
	bypass      = wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: devices here use this resolver"}
	filtered    = wire.EDE{Code: wire.EDEFiltered, Text: "Schoolgate: refused by the filter of the upstream server"}
	rebinding   = wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: this public name leads into the local network"}
	lookalike   = wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: this name looks like that of a blocked site"}
	staleDenial = wire.EDE{Code: wire.EDEStaleNXDomain, Text: "Schoolgate: no upstream answers, this is an earlier answer"}
	staleAnswer = wire.EDE{Code: wire.EDEStale, Text: "Schoolgate: no upstream answers, this is an earlier answer"}
	unreachable = wire.EDE{Code: wire.EDENetwork, Text: "Schoolgate: no upstream server answers"}
	busy        = wire.EDE{Code: wire.EDENotReady, Text: "Schoolgate: too many questions at once, ask again"}
	noUpstream  = wire.EDE{Code: wire.EDENotReady, Text: "Schoolgate: no upstream server is configured"}
	unresolved  = wire.EDE{Code: wire.EDENoReachable, Text: "Schoolgate: the upstream could not resolve this name"}
)

// byCategory are the words for the categories that every school has and a client may be told of; any other gets the
// general ones.
var byCategory = map[string]wire.EDE{
	config.Gaming: category("gaming"), config.SocialMedia: category("social media"), config.Gambling: category("gambling"),
	config.Circumvent: category("VPN, proxy or encrypted DNS"), config.Dating: category("dating"), config.Chatbots: category("AI chat"),
}

func category(words string) wire.EDE {
	return wire.EDE{Code: wire.EDEBlocked, Text: "Schoolgate: blocked by the school's filter (" + words + ")"}
}

// reason gives the words for a blocked verdict that a client may be told.
func reason(v *query.Verdict) wire.EDE {
	switch v.Rule {
	case query.Stopped:
		return stopped
	case query.Approved:
		return unapproved
	case query.Bypass:
		return bypass
	case query.SafeSearch:
		return unsafe
	case query.BlockedUpstream:
		return filtered
	case query.Rebinding:
		return rebinding
	case query.Lookalike:
		return lookalike
	case query.Category:
		if e, ok := byCategory[v.Category]; ok {
			return e
		}
	case query.Default, query.Illegal, query.OwnBlock, query.OwnAllow, query.SchoolsPack, query.IllegalURL, query.LocalName:
	}
	return blocked
}

// refuse answers a blocked question in the way of the client's group.
func (s *State) refuse(q *query.Query, req, dst []byte) []byte {
	b := wire.Blocked{TTL: blockTTL}
	if q.Verdict.Rule == query.Bypass {
		if below(&q.Question.Name, "\x08resolver\x04arpa\x00") {
			b.Kind = wire.BlockPage // of no address: the name exists, without data (RFC 9462 section 6.4)
		}
	} else {
		switch a := s.Policy.Answer(q.Client.Group); a.Kind {
		case config.AnswerZero:
			b.Kind = wire.BlockZero
		case config.AnswerPage:
			b.V4, b.V6 = a.V4, a.V6
			if !b.V4.IsValid() && s.Page != nil {
				b.V4, b.V6 = s.Page(q.Client.Addr)
			}
			if b.V4.IsValid() || b.V6.IsValid() { // else nobody serves the page now
				b.Kind = wire.BlockPage
			}
		case config.AnswerNXDOMAIN:
		}
	}
	told := s.Policy.Told(q.Client.Group, q.Verdict)
	why := reason(&told)
	if !q.Question.Structured || s.Office == nil {
		return reply(q, req, dst, b, why)
	}
	f, sub := whole, subError(&told, why.Code)
	if !q.Proven {
		f = bare
	}
	for ; f < mute; f++ {
		out := reply(q, req, dst, b, s.Office.tell(f, why, sub))
		if q.Proto != query.UDP || len(out)-len(dst) <= q.Question.Limit() {
			return out
		}
	}
	return reply(q, req, dst, b, wire.EDE{Code: why.Code})
}

// reply sends what was made here.
func reply(q *query.Query, req, dst []byte, b wire.Blocked, why wire.EDE) []byte {
	q.Source, q.RCode = query.Policy, wire.NoError
	if b.Kind == wire.BlockNXDomain {
		q.RCode = wire.NXDomain
	}
	return wire.AppendBlocked(dst, req, &q.Question, b, why)
}
