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
	began := time.Now()
	if _, err := TryLocked(path); !errors.Is(err, ErrLocked) || time.Since(began) > lockWait {
		t.Errorf("TryLocked: %v after %v", err, time.Since(began))
	}
	if _, err := OpenLocked(path); !errors.Is(err, ErrLocked) || time.Since(began) < lockWait {
		t.Errorf("OpenLocked: %v after %v", err, time.Since(began))
	}
	time.AfterFunc(10*lockPoll, func() { held.Close() })
	f, err := OpenLocked(path)
	if err != nil {
		t.Fatal("behind one that goes:", err)
	}
	f.Close()
	if f, err = TryLocked(path); err != nil {
		t.Fatal(err)
	}
	f.Close()
}
