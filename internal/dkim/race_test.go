//go:build race

package dkim

import "time"

// costLimit under the race detector, which makes code many times slower.
const costLimit = 20 * time.Second
