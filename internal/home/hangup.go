package home

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// OnHangup calls reload at each SIGHUP, one call after the other, until ctx
// ends or stop is called, which waits for a call under way. The log has what
// came of it; after an error what was in force goes on. At the start, and each
// time, it names the rows of tables that are broken.
func (h *Home) OnHangup(ctx context.Context, reload func() error) (stop func()) {
	if !h.named { // a watcher comes here again after each SIGHUP
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
			if err := reload(); err != nil {
				h.Log.Trouble("", "reload", err)
			} else {
				h.Log.Reloaded()
			}
			h.nameBrokenRows()
		}
	})
	return func() {
		cancel()
		wg.Wait()
		signal.Stop(hangups)
	}
}
