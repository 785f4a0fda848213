// Package userns examines the user namespace of this process (user_namespaces(7)): in a
// container root may be an ordinary user outside, and users may be missing.
package userns

import (
	"os"
	"strings"
	"sync"
)

// Overflow is the user id of files whose owner is not in the namespace.
const Overflow = 65534

// Map returns the map of user ids of our user namespace, "" if the kernel has none. It is
// written once, before the first program starts there.
func Map() string { return ownMap() }

var ownMap = sync.OnceValue(func() string {
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return ""
	}
	return string(data)
})

// Partly reports whether a user namespace lacks users. Its root cannot become a user who
// is not in it.
func Partly(uidMap string) bool {
	return uidMap != "" && strings.Join(strings.Fields(uidMap), " ") != "0 0 4294967295"
}

// Strangers reports whether the root of a user namespace is an ordinary user outside of
// it.
func Strangers(uidMap string) bool {
	for line := range strings.Lines(uidMap) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "0" {
			return f[1] != "0"
		}
	}
	return false
}
