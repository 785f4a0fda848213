package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Names returns a list in brackets, "" if it is empty.
func Names(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, "; ") + ")"
}

// Median returns the median of some numbers.
func Median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// Figure returns a number with three digits that count.
func Figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// Share returns how long the fastest part of all took at most, in milliseconds: 0.5 is the median.
func Share(took []time.Duration, part float64) float64 {
	if len(took) == 0 {
		return 0
	}
	took = slices.Sorted(slices.Values(took))
	return took[int(part*float64(len(took)-1))].Seconds() * 1e3
}
