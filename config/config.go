// Package config is the TOML file of a Schoolgate box as one validated immutable value.
package config

import (
	"net/netip"
	"time"
	_ "time/tzdata" // a small box may have no time zones of its own, and schedules must not fall back to UTC in silence

	"schoolgate/blocklist/domain"
)

// The categories that the product itself speaks of. A school may use further ones for lists of its own: every category
// that a list has can be blocked and alerted on.
const (
	Pornography = "pornography"
	Hate        = "hate"
	Extremism   = "extremism"
	Gaming      = "gaming"
	IllegalTier = "illegal" // blocked for everyone, whatever else is configured
	SocialMedia = "social-media"
	Gambling    = "gambling"
	Circumvent  = "bypass" // VPN, proxy and encrypted-DNS services
	Dating      = "dating"
	Chatbots    = "ai-chat" // chat with machines, and what machines write, draw and say
)

// What stands beside categories where alerts are told of: blocks that no list decided but an upstream's reply.
const (
	BlockedUpstream = "blocked-upstream" // the upstream server refused it by a filter of its own
	Rebinding       = "rebinding"        // a public name with an address of the local network
)

// Config is the whole file. It is immutable once loaded, so any number of goroutines may read it: a reload makes another.
type Config struct {
	Site      Site      `toml:"site"`
	DNS       DNS       `toml:"dns"`
	HTTP      HTTP      `toml:"http"`
	Encrypted Encrypted `toml:"encrypted"`
	Page      Page      `toml:"page"`
	Upstream  Upstream  `toml:"upstream"`
	Forward   []Forward `toml:"forward"`
	Cache     Cache     `toml:"cache"`
	Policy    Policy    `toml:"policy"`
	Answers   Answers   `toml:"answers"`
	Signals   Signals   `toml:"signals"`
	Local     Local     `toml:"local"`
	DNSSEC    DNSSEC    `toml:"dnssec"`
	Groups    []Group   `toml:"groups"`
	Devices   []Device  `toml:"devices"`
	Lists     []List    `toml:"lists"`
	Update    Update    `toml:"update"`
	Illegal   Illegal   `toml:"illegal"`
	Alerts    Alerts    `toml:"alerts"`
	Changes   Changes   `toml:"changes"`
	Store     Store     `toml:"store"`
	Terms     []Term    `toml:"terms"`
}

// Site is the school.
type Site struct {
	Name     string `toml:"name"`
	Timezone string `toml:"timezone"` // IANA name; schedules, days and reports follow it
}

// DNS is where questions are taken, and whose. Listen needs a restart to change.
type DNS struct {
	Listen     []netip.AddrPort `toml:"listen"`     // UDP and TCP each
	Allow      []Network        `toml:"allow"`      // who is answered; this machine itself always is
	Forwarders []netip.Addr     `toml:"forwarders"` // routers whose word on a device's MAC (EDNS option 65001) is believed
	Limits     Limits           `toml:"limits"`
}

// HTTP is where metrics and health are served. Needs a restart to change.
type HTTP struct {
	Listen netip.AddrPort `toml:"listen"` // the zero value serves none
}

// Page is the block page, and whom it names. HTTP and HTTPS need a restart to change.
type Page struct {
	HTTP    []netip.AddrPort `toml:"http"`    // where it is served; empty: nowhere
	HTTPS   bool             `toml:"https"`   // it is also served by the listener for DNS over HTTPS, with certificates of the box's own authority
	Lead    string           `toml:"lead"`    // who looks after safety online, for people; "" for none
	Contact []string         `toml:"contact"` // how they are reached: URIs of the schemes mailto and tel; also told to programs that ask why a name is refused
}

// Cache bounds the answers kept in memory. Needs a restart to change.
type Cache struct {
	Size     Size     `toml:"size"`      // all in
	MinTTL   Duration `toml:"min_ttl"`   // raise shorter TTLs to this
	MaxTTL   Duration `toml:"max_ttl"`   // lower longer TTLs to this
	StaleFor Duration `toml:"stale_for"` // how long past its time an answer may be served when no upstream answers
}

// Policy is what holds for the whole setting.
type Policy struct {
	DefaultGroup string        `toml:"default_group"` // of every client that no group or device names: the strictest
	Block        []domain.Name `toml:"block"`         // the setting's own block list: names and all below them
	Allow        []domain.Name `toml:"allow"`         // the setting's own allow list: outranks categories, never the illegal tier
	StopAll      bool          `toml:"stop_all"`      // refuse every name to everyone

	SchoolsPack       bool          `toml:"schools_pack"`        // no category list refuses what the built-in UK schools pack holds
	SchoolsPackExcept []domain.Name `toml:"schools_pack_except"` // but for these names and all below them
}

// Answers is what is done about names that hide others, and about what the answers of upstreams hold. It is the same for
// every group, since answers are kept once for all.
type Answers struct {
	ECH        ECH           `toml:"ech"`        // keys for an encrypted client hello in HTTPS and SVCB records
	Lookalikes Lookalikes    `toml:"lookalikes"` // names that look like well-known blocked ones
	Private    []domain.Name `toml:"private"`    // names, with all below them, that may have addresses of the local network

	ExemptTargets       []domain.Name `toml:"exempt_targets"`        // beside the built-in ones: as what an answer leads to, no category list refuses them
	ExemptTargetsExcept []domain.Name `toml:"exempt_targets_except"` // but for these names and all below them
}

// Group is a set of devices under one rule.
type Group struct {
	Name             string        `toml:"name"`
	Clients          []Client      `toml:"clients"`    // which devices
	Block            []string      `toml:"block"`      // categories; the illegal tier is blocked whether it stands here or not
	AllowOnly        bool          `toml:"allow_only"` // only Approved (and Allow) resolve
	Approved         []domain.Name `toml:"approved"`
	Allow            []domain.Name `toml:"allow"`          // as Policy.Allow, for this group alone
	Deny             []domain.Name `toml:"deny"`           // as Policy.Block, for this group alone
	BlockServices    []string      `toml:"block_services"` // services of the catalogue whose names are as in Deny
	AllowServices    []string      `toml:"allow_services"` // services of the catalogue whose names are as in Allow
	Answer           Answer        `toml:"answer"`
	SafeSearch       bool          `toml:"safe_search"`
	SafeSearchExcept []string      `toml:"safe_search_except"` // of Engines: left as the person sets them
	YouTube          YouTube       `toml:"youtube"`
	Internet         bool          `toml:"internet"` // false: quarantined, every name is refused

	IllegalURLs           IllegalURLs `toml:"illegal_urls"`             // hosts of which the illegal tier lists pages
	IllegalURLsApprovedBy string      `toml:"illegal_urls_approved_by"` // IllegalURLsBlock: the DSL who took on the over-block
	IllegalURLsApprovedOn Date        `toml:"illegal_urls_approved_on"` // and when

	Hours []Hours `toml:"hours"`
}

// Hours changes a group's blocked categories in a weekly window of local time.
type Hours struct {
	Days  []Weekday `toml:"days"`  // empty: every day
	From  TimeOfDay `toml:"from"`  // inclusive
	To    TimeOfDay `toml:"to"`    // exclusive; before From: until that time on the next day; 00:00 to 00:00 is the whole day
	Block []string  `toml:"block"` // categories also blocked in the window
	Allow []string  `toml:"allow"` // categories not blocked in the window; wins over Block
}

// Answer is what a client gets for a blocked name.
type Answer struct {
	Kind AnswerKind
	V4   netip.Addr // AnswerPage only; zero: the addresses at which the client reaches the box
	V6   netip.Addr // AnswerPage only, may be zero: then AAAA has no data
}

// Device names one device.
type Device struct {
	Name  string     `toml:"name"`
	MAC   MAC        `toml:"mac"` // at least one of MAC, IP and ID
	IP    netip.Addr `toml:"ip"`
	ID    string     `toml:"id"`    // what it calls itself over encrypted transports, which is no proof
	Group string     `toml:"group"` // "": the group whose clients match, else the default group
}

// List is one source of names.
type List struct {
	Name     string   `toml:"name"`
	Category string   `toml:"category"`
	Source   string   `toml:"source"` // file, directory or http(s) URL
	Format   Format   `toml:"format"`
	Select   []string `toml:"select"`    // FormatUT1: which of its directories
	Every    Duration `toml:"every"`     // how often to look for a new version
	MaxSize  Size     `toml:"max_size"`  // as fetched, and ten times that once unpacked
	AuthFile string   `toml:"auth_file"` // its first line: a bearer token, or user:password; see Authorization
	SHA256   string   `toml:"sha256"`    // optional, of the source as fetched, lower-case hexadecimal; another version is then refused

	Mirrors      []string      `toml:"mirrors"`       // other addresses of the same list, asked in order when the source fails
	MinisignKey  string        `toml:"minisign_key"`  // optional, the maker's public key in base64: only what it signed is taken
	Signature    string        `toml:"signature"`     // where the signature is; "" is the source with ".minisig" behind its path
	MaxAge       Duration      `toml:"max_age"`       // without a look that went well, until the list counts as stale; 0 is twice Every
	MaxShrink    int           `toml:"max_shrink"`    // percent of its entries that a new version may lose; 0 is the default
	MaxGrowth    int           `toml:"max_growth"`    // percent that it may gain; 0 is the default
	MaxConflicts int           `toml:"max_conflicts"` // names that schools need or that are popular which an update may newly block without a person's word
	Accept       []domain.Name `toml:"accept"`        // public suffixes taken as entries all the same, and conflicts that are meant
}

// What a List holds that says nothing else.
const (
	DefaultMaxShrink    = 50  // percent
	DefaultMaxGrowth    = 200 // percent
	DefaultMaxConflicts = 3   // names
)

// Update is how lists are kept fresh.
type Update struct {
	Starter   bool     `toml:"starter"`   // also hold the starter lists that are built in
	Catalogue bool     `toml:"catalogue"` // also hold the service catalogue, a list for each of its categories
	Timeout   Duration `toml:"timeout"`   // for one whole download
}

// Illegal is what a school says of its illegal tier besides the lists of that category.
type Illegal struct {
	DSLKey    PublicKey `toml:"dsl_key"`   // names of refused questions are sealed for its owner; zero: they are kept nowhere
	Upstream  string    `toml:"upstream"`  // who else enforces such lists for the school, as it states; "" for nobody
	Confirmed Date      `toml:"confirmed"` // when Upstream last confirmed it
}

// Alerts is who is told of what.
type Alerts struct {
	Categories []string `toml:"categories"` // a block in one of these, or of BlockedUpstream or Rebinding, makes an alert; the illegal tier always does
	Window     Duration `toml:"window"`     // an episode ends after this long without a further block
	DSL        []string `toml:"dsl"`        // addresses that get alerts of blocks
	Technical  []string `toml:"technical"`  // addresses that get alerts of the box itself
	SMTP       SMTP     `toml:"smtp"`
}

// SMTP is the mail server. Host "" sends nothing: alerts wait, and health says so.
type SMTP struct {
	Host         string   `toml:"host"`
	Port         int      `toml:"port"`
	TLS          TLSMode  `toml:"tls"`
	CAFile       string   `toml:"ca_file"` // PEM; "" is the system's
	User         string   `toml:"user"`
	PasswordFile string   `toml:"password_file"` // its first line
	From         string   `toml:"from"`
	Timeout      Duration `toml:"timeout"`
}

// Store is where the record is kept. Path and Flush need a restart to change.
type Store struct {
	Path      string   `toml:"path"`      // directory of all state; relative to where the program runs
	Retention Duration `toml:"retention"` // of rows, in whole days; a month's file goes once all of it is older
	Flush     Duration `toml:"flush"`     // the most that a power cut or SIGKILL can lose
}

// Term is one stretch of the school year, last day included.
type Term struct {
	Name  string `toml:"name"`
	First Date   `toml:"first"`
	Last  Date   `toml:"last"`
}

// Location is the site's time zone, UTC when the name is unknown (which Validate reports).
func (c *Config) Location() *time.Location {
	loc, err := time.LoadLocation(c.Site.Timezone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// Group finds a group by name.
func (c *Config) Group(name string) (Group, bool) {
	for _, g := range c.Groups {
		if g.Name == name {
			return g, true
		}
	}
	return Group{}, false
}
