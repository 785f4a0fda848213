package mta

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/test/harness"
)

// later is when what waits is tried again: no attempt is part of a measurement. (Paperpath does
// not believe a time that is further off than its schedule goes.)
const later = time.Hour

// waiting writes a file whose time has not come yet.
func waiting(path, text string) error {
	at := time.Now().Add(later)
	return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at))
}

// DeferPaperpath puts n entries into cur/ of relay, each with a reason (spool(5)).
func DeferPaperpath(h *harness.Home, n int) error {
	relay, came := filepath.Join(h.Dir, "spool", "relay"), time.Now().Add(-time.Hour)
	for i := range n {
		key := fmt.Sprintf("%d.M%06dR%016x.mx", came.Unix(), i, uint64(i)*0x9e3779b97f4a7c15)
		text := fmt.Sprintf("Return-Path: <a@bench.example>\nDelivered-To: u%d@away.example\nReceived: by mx\n with local id %s; %s\n\nx\n",
			i, key, came.Format(time.RFC1123Z))
		name := fmt.Sprintf("%s,S=%d,W=%d:2,", key, len(text), len(text)+strings.Count(text, "\n"))
		why := fmt.Sprintf("relay %s deferred: mx.away.example: connection refused\n", came.UTC().Format(time.RFC3339))
		err := errors.Join(waiting(filepath.Join(relay, "reason", key), why),
			os.WriteFile(filepath.Join(relay, "cur", name), []byte(text), 0o600))
		if err != nil {
			return fmt.Errorf("defer: %w", err)
		}
	}
	return nil
}

// DeferPostfix puts n files into its queue deferred. It opens none before its time has come.
func DeferPostfix(p *harness.Postfix, n int) error {
	for i := range n {
		id := fmt.Sprintf("%X%08X", i%16, i)
		sub := filepath.Join(p.Dir, "spool", "deferred", id[:1])
		err := errors.Join(os.MkdirAll(sub, 0o700), p.Own(sub), waiting(filepath.Join(sub, id), "x\n"), p.Own(filepath.Join(sub, id)))
		if err != nil {
			return fmt.Errorf("defer: %w", err)
		}
	}
	return nil
}
