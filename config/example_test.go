package config_test

import (
	"fmt"

	"schoolgate/config"
)

func ExampleParse() {
	_, err := config.Parse([]byte(`[policy]
default_group = "childen"

[[groups]]
name = "children"
block = ["pornografy", "hate", "extremism"]
saef_search = true

[alerts]
dsl = ["dsl@school.example"]
[alerts.smtp]
host = "mail.school.example"
from = "schoolgate@school.example"
`), "schoolgate.toml")
	fmt.Println(err)
	// Output:
	// schoolgate.toml:2: policy.default_group: there is no group "childen" (did you mean "children"?)
	// schoolgate.toml:6: groups[0].block[0]: unknown category "pornografy" (did you mean "pornography"?)
	// schoolgate.toml:7: groups[0].saef_search: unknown key "saef_search" (did you mean "safe_search"?)
}

func ExampleDiff() {
	before, after := config.Default(), config.Default()
	after.Groups[0].Block = after.Groups[0].Block[:5]
	for _, sentence := range config.Diff(before, after) {
		fmt.Println(sentence)
	}
	// Output:
	// group children: category social-media is no longer blocked
	// group children: category gambling is no longer blocked
	// group children: category bypass is no longer blocked
	// group children: category dating is no longer blocked
}
