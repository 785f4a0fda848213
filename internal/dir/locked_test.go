package dir

import (
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// TestALockThatStays: a process that was stopped with a lock stops no other.
func TestALockThatStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "record")
	held, err := OpenLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	quick := false
	for range 5 { // a machine that is busy may take a second for one of them
		began := time.Now()
		if _, err := TryLocked(path); !errors.Is(err, ErrLocked) {
			t.Error("TryLocked:", err)
		}
		quick = quick || time.Since(began) < lockWait
	}
	if !quick {
		t.Error("TryLocked waits")
	}
	began := time.Now()
	if _, err := OpenLocked(path); !errors.Is(err, ErrLocked) || time.Since(began) < lockWait {
		t.Errorf("OpenLocked: %v after %v", err, time.Since(began))
	}
	time.AfterFunc(10*lockPoll, func() { held.Close() })
	f, err := openLocked(path, 30*time.Second) // lockWait may pass before it goes
	if err != nil {
		t.Fatal("behind one that goes:", err)
	}
	f.Close()
	if f, err = TryLocked(path); err != nil {
		t.Fatal(err)
	}
	f.Close()
}
