// Package catalogue is the service catalogue: social networks, games, gambling, VPNs and others, each with the domains that
// it needs, written by hand for this program. It is a built-in list of names for each category, and a school may switch
// single services by name.
//
// It knows no other package, so that any floor can read it: names are text in the canonical form of package domain,
// categories are words of package config.
package catalogue

import (
	"embed"
	"slices"
	"strings"
	"sync"
)

// Each file has the services of a category, "other" those of none. A service begins with "id: Name"; lines that begin with
// two spaces belong to it: a note in brackets, and its domains. "#" begins a comment.
//
// What a service shares with others, such as a content network's name, is not among its domains.
//
//go:embed services/*.txt
var files embed.FS

// Service is one service, or a family of small ones that nobody would switch apart.
type Service struct {
	ID       string   `json:"id"` // what block_services and allow_services say: a-z, 0-9 and hyphen
	Name     string   `json:"name"`
	Category string   `json:"category"` // "" for none: refused only where a group says so
	Domains  []string `json:"domains"`  // each with all below it
	Note     string   `json:"note,omitempty"`
}

var all = sync.OnceValue(read)

// Services is the whole catalogue by category and then by ID, those of no category last, in a fresh slice. The domains are
// shared: the caller must not change them.
func Services() []Service { return slices.Clone(all()) }

// Lookup finds a service by its ID.
func Lookup(id string) (s Service, ok bool) {
	i := slices.IndexFunc(all(), func(s Service) bool { return s.ID == id })
	if i < 0 {
		return s, false
	}
	return all()[i], true
}

// Of finds the service that a name belongs to: of several the one whose domain is longest.
func Of(name string) (found Service, ok bool) {
	longest := ""
	for _, s := range all() {
		for _, d := range s.Domains {
			if len(d) > len(longest) && (name == d || strings.HasSuffix(name, "."+d)) {
				longest, found = d, s
			}
		}
	}
	return found, longest != ""
}

// Categories names the categories that have services, sorted, in a fresh slice.
func Categories() []string {
	var out []string
	for _, s := range all() {
		if s.Category != "" {
			out = append(out, s.Category)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Names is the domains of all services of a category, sorted, in a fresh slice.
func Names(category string) []string {
	var out []string
	for _, s := range all() {
		if s.Category == category && category != "" {
			out = append(out, s.Domains...)
		}
	}
	slices.Sort(out)
	return out
}

// read reads the files, which a test holds to their form.
func read() []Service {
	entries, err := files.ReadDir("services")
	if err != nil {
		panic("catalogue: " + err.Error()) // not built in, which a test rules out
	}
	var with, without []Service
	for _, e := range entries {
		text, err := files.ReadFile("services/" + e.Name())
		if err != nil {
			panic("catalogue: " + err.Error())
		}
		category := strings.TrimSuffix(e.Name(), ".txt")
		if category == "other" {
			without = append(without, parse(string(text), "")...)
		} else {
			with = append(with, parse(string(text), category)...)
		}
	}
	return append(with, without...)
}

func parse(text, category string) (out []Service) {
	for line := range strings.Lines(text) {
		said := strings.TrimSpace(line)
		switch {
		case said == "" || said[0] == '#':
		case line[0] != ' ':
			id, name, _ := strings.Cut(said, ": ")
			out = append(out, Service{ID: id, Name: name, Category: category})
		case len(out) == 0: // lines of no service, which a test rules out
		case said[0] == '(':
			out[len(out)-1].Note = strings.Trim(said, "()")
		default:
			last := &out[len(out)-1]
			last.Domains = append(last.Domains, strings.Fields(said)...)
		}
	}
	return out
}
