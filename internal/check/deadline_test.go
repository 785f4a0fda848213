package check

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A deadline is the context that context.WithTimeout makes, whether or not anybody waits.
func TestDeadline(t *testing.T) {
	type key struct{}
	parent, stop := context.WithCancelCause(context.WithValue(context.Background(), key{}, "value"))
	defer stop(nil)
	past := within(parent, -time.Second)
	if err := past.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("past: %v", err)
	}
	<-past.Done()
	soon := within(parent, time.Millisecond)
	if <-soon.Done(); !errors.Is(soon.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(soon), context.DeadlineExceeded) {
		t.Errorf("soon: %v, %v", soon.Err(), context.Cause(soon))
	}
	ended := within(parent, time.Hour)
	if ended.Err() != nil || ended.Value(key{}) != "value" {
		t.Error(ended.Err(), ended.Value(key{}))
	}
	ended.end()
	if <-ended.Done(); !errors.Is(ended.Err(), context.Canceled) {
		t.Errorf("ended: %v", ended.Err())
	}
	waited := within(parent, time.Hour)
	child, cancel := context.WithTimeout(waited, 2*time.Hour)
	defer cancel()
	first, _ := child.Deadline()
	if at, ok := waited.Deadline(); !ok || !at.Equal(first) {
		t.Errorf("%v, %v", at, first)
	}
	waited.end()
	if <-child.Done(); !errors.Is(child.Err(), context.Canceled) {
		t.Errorf("below one that ended: %v", child.Err())
	}
	below, reason := within(parent, time.Hour), errors.New("why")
	stop(reason)
	if <-below.Done(); !errors.Is(below.Err(), context.Canceled) || !errors.Is(context.Cause(below), reason) {
		t.Errorf("below one that was cancelled: %v, %v", below.Err(), context.Cause(below))
	}
	brief, cancelBrief := context.WithTimeout(context.Background(), time.Minute)
	defer cancelBrief()
	want, _ := brief.Deadline()
	if at, _ := within(brief, time.Hour).Deadline(); !at.Equal(want) {
		t.Errorf("the earlier deadline does not count: %v", at)
	}
}
