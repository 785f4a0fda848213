package clock

import (
	"context"
	"testing"
	"time"
)

// Wait lasts as long as it says, and ends with its context.
func TestWait(t *testing.T) {
	begun := time.Now()
	Wait(t.Context(), 20*time.Millisecond)
	if took := time.Since(begun); took < 20*time.Millisecond {
		t.Errorf("%s", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if Wait(ctx, time.Hour); ctx.Err() == nil {
		t.Error("the context goes on")
	}
}
