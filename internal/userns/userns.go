// Package userns says what the user namespace of this process is
// (user_namespaces(7)): in a container root may be somebody else outside, and
// users may be missing.
package userns

import (
	"os"
	"strings"
)

// Overflow is the user id of files whose owner a namespace lacks.
const Overflow = 65534

// Map is the map of user ids of our user namespace, "" where the kernel has none.
func Map() string {
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return ""
	}
	return string(data)
}

// Partly reports whether a user namespace has less than all users. Its root
// cannot become an owner whom it does not hold.
func Partly(uidMap string) bool {
	return uidMap != "" && strings.Join(strings.Fields(uidMap), " ") != "0 0 4294967295"
}

// Strangers reports whether the root of a user namespace is another user
// outside of it: an ordinary one to everybody there.
func Strangers(uidMap string) bool {
	for line := range strings.Lines(uidMap) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "0" {
			return f[1] != "0"
		}
	}
	return false
}
