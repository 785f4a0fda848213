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
// came of it; after an error what was in force goes on.
func (h *Home) OnHangup(ctx context.Context, reload func() error) (stop func()) {
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
		}
	})
	return func() {
		cancel()
		wg.Wait()
		signal.Stop(hangups)
	}
}
