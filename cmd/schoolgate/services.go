package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"schoolgate/blocklist/catalogue"
)

// listServices shows the service catalogue, or the services named, which is the same for every box.
func listServices(c *call, asJSON bool, ids []string) error {
	services := catalogue.Services()
	if len(ids) > 0 {
		services = services[:0]
		for _, id := range ids {
			s, ok := catalogue.Lookup(strings.ToLower(id))
			if !ok {
				return usage("schoolgate lists services shows all of them", "there is no service %q in the catalogue", id)
			}
			services = append(services, s)
		}
	}
	switch {
	case asJSON:
		return json.NewEncoder(c.stdout).Encode(services)
	case len(ids) > 0:
		for _, s := range services {
			fmt.Fprintf(c.stdout, "%s: %s\n", s.ID, s.Name)
			fmt.Fprintf(c.stdout, "  category: %s\n", dash(s.Category))
			if s.Note != "" {
				fmt.Fprintf(c.stdout, "  note: %s\n", s.Note)
			}
			fmt.Fprintf(c.stdout, "  domains: %s\n", strings.Join(s.Domains, " "))
		}
		return nil
	}
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tCATEGORY\tDOMAINS\tNAME")
	for _, s := range services {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", s.ID, dash(s.Category), len(s.Domains), s.Name)
	}
	return w.Flush()
}

// serviceLine says that a name belongs to a service, "" for one that belongs to none.
func serviceLine(id string) string {
	s, ok := catalogue.Lookup(id)
	if !ok {
		return ""
	}
	return fmt.Sprintf("The name belongs to the service %s (%s): schoolgate changes propose service GROUP +%[1]s or -%[1]s switches it, and so do block_services and allow_services of a group.", s.ID, s.Name)
}
