package provider

// all is facts, looked up on 2026-11-22. Addresses and names: the providers' own pages, and the list of known DNS providers
// of AdGuard's knowledge base. Block answers: docs.quad9.net (FAQ: NXDOMAIN with AUTHORITY 0), Cloudflare's pages on 1.1.1.1
// for Families (0.0.0.0 and ::), Cisco Umbrella's list of block page addresses, and published observations of 2026-09-05 for
// the others. A provider may change them: then its refusals are seen as plain answers, and nothing worse happens.
var all = []Provider{
	{
		ID: "adguard-family", Title: "AdGuard DNS, family protection", Refuses: "adult sites, advertising, trackers, phishing and malware",
		Servers:  []string{"tls://94.140.14.15#family.adguard-dns.com", "tls://94.140.15.16#family.adguard-dns.com"},
		Fallback: []string{"https://94.140.14.15/dns-query#family.adguard-dns.com"},
		Addrs:    addrs("94.140.14.15", "94.140.15.16", "2a10:50c0::bad1:ff", "2a10:50c0::bad2:ff"),
		Refusal: Refusal{
			Addrs: prefixes("0.0.0.0/32", "::/128", "94.140.14.33/32", "94.140.14.35/32"),
			Names: []string{"family-block.dns.adguard.com", "standard-block.dns.adguard.com"},
		},
	},
	{
		ID: "cleanbrowsing-adult", Title: "CleanBrowsing, adult filter", Refuses: "adult sites, phishing and malware",
		Servers:  []string{"tls://185.228.168.10#adult-filter-dns.cleanbrowsing.org", "tls://185.228.169.11#adult-filter-dns.cleanbrowsing.org"},
		Fallback: []string{"https://185.228.168.10/doh/adult-filter/#doh.cleanbrowsing.org"},
		Addrs:    addrs("185.228.168.10", "185.228.169.11", "2a0d:2a00:1::1", "2a0d:2a00:2::1"),
		Refusal:  cleanBrowsing,
	},
	{
		ID: "cleanbrowsing-family", Title: "CleanBrowsing, family filter", Refuses: "adult and mixed sites, proxies and VPNs, phishing and malware",
		Servers:  []string{"tls://185.228.168.168#family-filter-dns.cleanbrowsing.org", "tls://185.228.169.168#family-filter-dns.cleanbrowsing.org"},
		Fallback: []string{"https://185.228.168.168/doh/family-filter/#doh.cleanbrowsing.org"},
		Addrs:    addrs("185.228.168.168", "185.228.169.168", "2a0d:2a00:1::", "2a0d:2a00:2::"),
		Refusal:  cleanBrowsing,
	},
	{
		ID: "cleanbrowsing-security", Title: "CleanBrowsing, security filter", Refuses: "phishing and malware",
		Servers:  []string{"tls://185.228.168.9#security-filter-dns.cleanbrowsing.org", "tls://185.228.169.9#security-filter-dns.cleanbrowsing.org"},
		Fallback: []string{"https://185.228.168.9/doh/security-filter/#doh.cleanbrowsing.org"},
		Addrs:    addrs("185.228.168.9", "185.228.169.9", "2a0d:2a00:1::2", "2a0d:2a00:2::2"),
		Refusal:  cleanBrowsing,
	},
	{
		ID: "cloudflare-family", Title: "Cloudflare 1.1.1.1 for Families", Refuses: "adult sites, phishing and malware",
		Servers:  []string{"tls://1.1.1.3#family.cloudflare-dns.com", "tls://1.0.0.3#family.cloudflare-dns.com"},
		Fallback: []string{"https://1.1.1.3/dns-query#family.cloudflare-dns.com"},
		Addrs:    addrs("1.1.1.3", "1.0.0.3", "2606:4700:4700::1113", "2606:4700:4700::1003"),
		Refusal:  Refusal{Addrs: prefixes("0.0.0.0/32", "::/128")},
	},
	{
		ID: "cloudflare-security", Title: "Cloudflare 1.1.1.1 without malware", Refuses: "phishing and malware",
		Servers:  []string{"tls://1.1.1.2#security.cloudflare-dns.com", "tls://1.0.0.2#security.cloudflare-dns.com"},
		Fallback: []string{"https://1.1.1.2/dns-query#security.cloudflare-dns.com"},
		Addrs:    addrs("1.1.1.2", "1.0.0.2", "2606:4700:4700::1112", "2606:4700:4700::1002"),
		Refusal:  Refusal{Addrs: prefixes("0.0.0.0/32", "::/128")},
	},
	{
		ID: "dns4eu-child", Title: "DNS4EU, child protection", Refuses: "adult sites, violence, gambling, phishing and malware",
		Servers:  []string{"tls://86.54.11.12#child.joindns4.eu", "tls://86.54.11.212#child.joindns4.eu"},
		Fallback: []string{"https://86.54.11.12/dns-query#child.joindns4.eu"},
		Addrs:    addrs("86.54.11.12", "86.54.11.212", "2a13:1001::86:54:11:12", "2a13:1001::86:54:11:212"),
		Refusal:  dns4EU,
	},
	{
		ID: "dns4eu-protective", Title: "DNS4EU, protective", Refuses: "phishing and malware",
		Servers:  []string{"tls://86.54.11.1#protective.joindns4.eu", "tls://86.54.11.201#protective.joindns4.eu"},
		Fallback: []string{"https://86.54.11.1/dns-query#protective.joindns4.eu"},
		Addrs:    addrs("86.54.11.1", "86.54.11.201", "2a13:1001::86:54:11:1", "2a13:1001::86:54:11:201"),
		Refusal:  dns4EU,
	},
	{
		ID: "opendns", Title: "Cisco OpenDNS, as set for the school's own address", Refuses: "phishing and malware, and what the school's account says",
		Servers: []string{"tls://208.67.222.222#dns.opendns.com", "tls://208.67.220.220#dns.opendns.com"},
		Addrs:   addrs("208.67.222.222", "208.67.220.220", "2620:119:35::35", "2620:119:53::53"),
		Refusal: openDNS,
	},
	{
		ID: "opendns-family", Title: "Cisco OpenDNS FamilyShield", Refuses: "adult sites, proxies, phishing and malware",
		Servers: []string{"tls://208.67.222.123#familyshield.opendns.com", "tls://208.67.220.123#familyshield.opendns.com"},
		Addrs:   addrs("208.67.222.123", "208.67.220.123"),
		Refusal: openDNS,
	},
	{
		ID: "quad9", Title: "Quad9", Refuses: "phishing and malware",
		Servers:  []string{"tls://9.9.9.9#dns.quad9.net", "tls://149.112.112.112#dns.quad9.net"},
		Fallback: []string{"https://9.9.9.9/dns-query#dns.quad9.net"},
		Addrs:    addrs("9.9.9.9", "149.112.112.112", "2620:fe::fe", "2620:fe::9"),
		Refusal:  Refusal{Bare: true},
	},
}

var (
	cleanBrowsing = Refusal{Names: []string{"cleanbrowsing.rpz.noc.org"}}
	dns4EU        = Refusal{Addrs: prefixes("51.15.69.11/32", "2001:bc8:1640:3ffd:dc00:ff:fe4a:3ec9/128")}
	openDNS       = Refusal{Addrs: prefixes("146.112.61.104/29")}
)
