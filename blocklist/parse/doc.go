// Package parse reads each published list format as rules.
//
// What a line means, by format. "Subtree" is the name and all below it, "Exact" the name alone, "Below" what is below the
// name only; "+" is a rule that blocks, "−" an exception from the same list.
//
//	hosts     0.0.0.0 a b c             + Subtree, each name; the address must be one that leads nowhere
//	domains   a                         + Subtree
//	wildcard  *.a   .a   a              + Subtree
//	adblock   ||a^   ||a   a^   a       + Subtree
//	          ||*.a^                    + Below
//	          |a^                       + Exact
//	          @@…                       − with the same scope
//	dnsmasq   address=/a/b/             + Subtree, each name; also with #, 0.0.0.0, ::, a loopback address
//	          local=/a/  server=/a/     + Subtree
//	          server=/a/#  local=/a/#   − Subtree: dnsmasq asks its usual servers
//	unbound   local-zone: a TYPE        + Subtree for always_nxdomain, always_null, always_nodata, always_refuse,
//	                                    always_deny, static, refuse, deny, redirect, inform_deny, inform_redirect
//	          local-zone: a TYPE        − Subtree for transparent, always_transparent
//	          local-data: "a A 0.0.0.0" + Exact; the address must be one that leads nowhere
//	rpz       a CNAME .                 + Exact; also CNAME *. and CNAME rpz-drop. and A or AAAA that lead nowhere
//	          *.a CNAME .               + Below, so that a zone with both lines holds the subtree
//	          a CNAME rpz-passthru.     − Exact (*.a: Below)
//	ut1       DIR/domains               + Subtree; DIR/urls is counted, never read as names
//	auto      any of the above but ut1, told line by line
//
// A site in a hosts or domains list is blocked with everything below it, because that is what blocking a site means to
// the people who ask for it: those formats merely have no way to say so.
//
// The modifiers of an adblock rule that still speak of a whole domain are taken as if they were not there: important, all,
// document, doc, popup, network, third-party and 3p; of an exception only important, all, document and doc, lest a narrow
// exception become a wide one. "important" does not outrank an exception of the same list. A rule with any other modifier is
// skipped. Of unbound, a transparent zone also excepts what local-data of the same list holds below it.
//
// Read in every format: comments (#, ! or ; first, # after a name), a byte order mark, CRLF, capitals, final dots,
// underscores, internationalised names. Skipped without a word: names of the machine itself such as localhost. Skipped and
// counted, by Reason: everything else, such as addresses, web pages and bare public suffixes (co.uk), which would block
// every site below them, unless the list's Accept names them. One bad line never rejects a list, save one of more than
// 64 KiB, which no list has. A list that is mostly bad, is in the format of another program (ForeignError), or holds no rule,
// is an error, and then what was added from it must be thrown away.
package parse
