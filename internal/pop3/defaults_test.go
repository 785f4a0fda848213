package pop3

import (
	"testing"
	"time"

	"paperpath/internal/control"
)

// A Config that says nothing has the limits of a home that says nothing.
func TestDefaultsAreThoseOfTheSettings(t *testing.T) {
	want, err := control.Open(t.TempDir(), time.Now).Limit("errors")
	if got := (Config{}).withDefaults().MaxErrors; int64(got) != want || err != nil {
		t.Errorf("errors: %d here, %d in control/limits (%v)", got, want, err)
	}
}
