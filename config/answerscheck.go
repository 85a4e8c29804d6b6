package config

import "slices"

func (k *checker) answers() {
	a := k.c.Answers
	k.names("answers.private", a.Private)
	k.names("answers.exempt_targets", a.ExemptTargets)
	k.names("answers.exempt_targets_except", a.ExemptTargetsExcept)
	for i, n := range a.Private {
		if n != "" && n.IsPublicSuffix() && n.IsPublic() {
			k.refusef(element("answers.private", i), `write the domains themselves, such as "school.example"`,
				"any site whose name ends in %q could lead devices to addresses of the local network", n)
		}
	}
	for i, n := range a.ExemptTargets {
		if j := slices.IndexFunc(a.ExemptTargetsExcept, n.Within); n != "" && j >= 0 {
			k.warnf(element("answers.exempt_targets", i), "leave it out of one of them", "%q is not exempt: exempt_targets_except has %q", n, a.ExemptTargetsExcept[j])
		}
		if n != "" && n.IsPublicSuffix() {
			k.refusef(element("answers.exempt_targets", i), `write the zone of one content network, such as "cdn.example"`,
				"every site whose name ends in %q could stand behind an allowed name", n)
		}
	}
}
