package home

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Reload calls reload, and logs the result and the broken rows of tables.
func (h *Home) Reload(reload func() error) error {
	err := reload()
	if err != nil {
		h.Log.Trouble("", "reload", err)
	} else {
		h.Log.Reloaded()
	}
	h.nameBrokenRows()
	return err
}

// OnHangup calls reload at each SIGHUP, one call at a time, until ctx ends or stop is
// called. stop waits for a running call. The log has the result; after an error the
// settings in force stay in force. At the start and at each reload OnHangup reports
// the broken rows of tables.
func (h *Home) OnHangup(ctx context.Context, reload func() error) (stop func()) {
	if !h.named { // a watcher calls this again after each SIGHUP
		h.named = true
		h.nameBrokenRows()
	}
	ctx, cancel := context.WithCancel(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			_ = h.Reload(reload) // the log has it
		}
	})
	return func() {
		cancel()
		wg.Wait()
		signal.Stop(hangups)
	}
}
