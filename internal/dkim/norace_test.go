//go:build !race

package dkim

import "time"

const costLimit = time.Second
