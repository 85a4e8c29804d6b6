package config

import (
	"fmt"
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/pack"
)

// registries are the names that others register under and that may be allowed as a whole: only public bodies, the NHS,
// the police, schools and universities get a name there, and below arpa there are no sites at all.
var registries = [...]domain.Name{"gov.uk", "nhs.uk", "police.uk", "ac.uk", "sch.uk", "gov", "edu", "arpa"}

// names warns of what an own list says twice.
func (k *checker) names(path string, names []domain.Name) {
	distinct(path, names, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", names[first])
	})
	for i, n := range names {
		if n == "" {
			k.refusef(element(path, i), "stop_all and internet = false refuse every name", "the root is no name for an own list")
		}
	}
}

// suffixes warns of own blocks that reach further than a site.
func (k *checker) suffixes(path string, names []domain.Name) {
	for i, n := range names {
		if n != "" && n.IsPublicSuffix() {
			k.warnf(element(path, i), "make sure that this is meant", "%q blocks every site whose name ends in it", n)
		}
	}
}

// openings refuses allowances that reach further than a site: "com" would be the whole web, past every category.
func (k *checker) openings(path string, names []domain.Name) {
	for i, n := range names {
		if n == "" || !n.IsPublicSuffix() || slices.ContainsFunc(registries[:], n.Within) {
			continue
		}
		k.refusef(element(path, i), openingHint(n), "%q allows every site whose name ends in it", n)
	}
}

func openingHint(n domain.Name) string {
	whole := make([]string, len(registries))
	for i, r := range registries {
		whole[i] = string(r)
	}
	return fmt.Sprintf("write the sites themselves, such as %q; only %s may be allowed as a whole", "example."+n, strings.Join(whole, ", "))
}

// schoolsPack warns of exceptions that except nothing, such as a slip of the pen.
func (k *checker) schoolsPack() {
	p, path := k.c.Policy, "policy.schools_pack_except"
	k.names(path, p.SchoolsPackExcept)
	if !p.SchoolsPack && len(p.SchoolsPackExcept) > 0 {
		k.warnf(path, "leave it out", "schools_pack is false, so there is nothing to except")
		return
	}
	held := pack.Names()
	for i, n := range p.SchoolsPackExcept {
		speaks := func(of string) bool { return n.Within(domain.Name(of)) || domain.Name(of).Within(n) }
		if n != "" && !slices.ContainsFunc(held, speaks) {
			k.warnf(element(path, i), "schoolgate explain "+n.String()+" says what decides", "the schools pack does not hold %q", n)
		}
	}
}

// contradiction refuses a name that is both allowed and blocked, and warns of one that lies below a blocked name: a block
// of one's own comes before an allowance of one's own.
func (k *checker) contradiction(allowPath string, allow []domain.Name, blockPath string, block []domain.Name) {
	blocked := make(map[domain.Name]bool, len(block))
	for _, n := range block {
		blocked[n] = true
	}
	for i, n := range allow {
		path := element(allowPath, i)
		if blocked[n] {
			k.refusef(path, "leave it out of one of them", "%q is in %s too", n, blockPath)
			continue
		}
		for up, ok := n.Parent(); ok && up != ""; up, ok = up.Parent() {
			if blocked[up] {
				k.warnf(path, fmt.Sprintf("leave %q out of %s and block what is unwanted below it", up, blockPath), "%q is never allowed: %s has %q, and an own block comes first", n, blockPath, up)
				break
			}
		}
	}
}
