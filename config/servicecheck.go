package config

import (
	"slices"

	"schoolgate/blocklist/catalogue"
)

// services checks which services of the catalogue a group switches.
func (k *checker) services(path string, g Group) {
	block, allow := child(path, "block_services"), child(path, "allow_services")
	k.knownServices(block, g.BlockServices)
	k.knownServices(allow, g.AllowServices)
	for i, id := range g.AllowServices {
		s, ok := catalogue.Lookup(id)
		switch {
		case !ok: // said already
		case slices.Contains(g.BlockServices, id):
			k.refusef(element(allow, i), "leave it out of one of them", "%q is in %s too", id, block)
		case s.Category == "" && !g.AllowOnly:
			k.warnf(element(allow, i), "leave it out", "the service %q is of no category, so no category refuses it", id)
		}
	}
}

// knownServices checks references to services at path.
func (k *checker) knownServices(path string, ids []string) {
	var all []string
	for _, s := range catalogue.Services() {
		all = append(all, s.ID)
	}
	for i, id := range ids {
		if !slices.Contains(all, id) {
			k.refusef(element(path, i), suggest(id, all, "schoolgate lists services shows them"), "there is no service %q in the catalogue", id)
		}
	}
	distinct(path, ids, func(path string, first int) {
		k.warnf(path, "leave it out", "%q is here already", ids[first])
	})
}
