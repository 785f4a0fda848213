package smtpd

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// In haste a client has little time before MAIL, whatever it says meanwhile, and
// for each command behind it; one that sends mail begins anew.
func TestHaste(t *testing.T) {
	const haste = 20 * time.Second
	hasty := Config{Haste: func() time.Duration { return haste }}
	bubble := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	bubble("silence", func(t *testing.T) {
		begin := time.Now()
		c := start(t, t.Context(), hasty)
		c.want("421 4.4.2 ")
		after(t, begin, haste)
		c.closed(errIdle)
	})
	bubble("commands gain nothing", func(t *testing.T) {
		begin := time.Now()
		c := start(t, t.Context(), hasty)
		for range 3 {
			time.Sleep(6 * time.Second)
			c.send("EHLO c.test")
			c.want("250")
		}
		c.want("421 4.4.2 ")
		after(t, begin, haste)
		c.closed(errIdle)
	})
	bubble("mail begins anew", func(t *testing.T) {
		c := start(t, t.Context(), hasty)
		for range 3 {
			time.Sleep(15 * time.Second)
			c.send("EHLO c.test", "MAIL FROM:<a@x.test>")
			c.want("250", "250")
			time.Sleep(15 * time.Second)
			c.send("RCPT TO:<b@y.test>")
			c.want("250")
			time.Sleep(15 * time.Second)
			c.send("DATA")
			c.want("354")
			time.Sleep(2 * time.Minute)
			c.send(".")
			c.want("250")
		}
		begin := time.Now()
		c.send("MAIL FROM:<a@x.test>")
		c.want("250")
		c.want("421 4.4.2 ")
		after(t, begin, haste)
		c.closed(errIdle)
	})
	bubble("it comes later", func(t *testing.T) {
		var now atomic.Int64
		c := start(t, t.Context(), Config{Haste: func() time.Duration { return time.Duration(now.Load()) }})
		time.Sleep(time.Minute)
		now.Store(int64(haste))
		begin := time.Now()
		c.want("421 4.4.2 ")
		if took := time.Since(begin); took > 2*leastHaste {
			t.Errorf("after %v", took)
		}
		c.closed(errIdle)
	})
	bubble("junk", func(t *testing.T) {
		c := start(t, t.Context(), hasty)
		for range hurriedJunk {
			c.send("NOOP")
			c.want("250")
		}
		c.send("NOOP")
		c.want("250", "421 4.7.0 too many commands without mail")
		c.closed(errEnded)
	})
	bubble("an old list", func(t *testing.T) {
		c := start(t, t.Context(), hasty)
		c.send("EHLO c.test", "MAIL FROM:<a@x.test>")
		c.want("250", "250")
		for range 3 * hurriedJunk {
			c.send("RCPT TO:<b@y.test>", "RCPT TO:<unknown@y.test>")
			c.want("250", "550")
		}
		c.send("DATA")
		c.want("354")
		c.send("x", ".", "MAIL FROM:<a@x.test>")
		c.want("250", "250")
		for range hurriedJunk {
			c.send("RCPT TO:<unknown@y.test>")
			c.want("550")
		}
		c.send("RCPT TO:<unknown@y.test>")
		c.want("550", "421 4.7.0 too many commands without mail")
		c.closed(errEnded)
	})
	bubble("none", func(t *testing.T) {
		begin := time.Now()
		c := start(t, t.Context(), Config{Haste: func() time.Duration { return 0 }})
		c.want("421 4.4.2 ")
		after(t, begin, defaultCommandTimeout)
		c.closed(errIdle)
	})
}
