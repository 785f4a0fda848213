package dns

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

// From memory comes what was asked before, and no question leaves.
func TestFromMemory(t *testing.T) {
	r, s := zones(t, "x.example A 192.0.2.1\nhost.example A 192.0.2.2\nx.example TXT text\nx.example MX 10 m.example\n1.2.0.192.in-addr.arpa PTR x.example")
	all := map[string]func(context.Context) error{
		"A":    func(ctx context.Context) error { _, err := r.A(ctx, "x.example"); return err },
		"host": func(ctx context.Context) error { _, err := r.Addrs(ctx, "host.example"); return err },
		"TXT":  func(ctx context.Context) error { _, err := r.TXT(ctx, "x.example"); return err },
		"MX":   func(ctx context.Context) error { _, err := r.MX(ctx, "x.example"); return err },
		"PTR":  func(ctx context.Context) error { _, err := r.PTR(ctx, netip.MustParseAddr("192.0.2.1")); return err },
		"none": func(ctx context.Context) error {
			_, err := r.TXT(ctx, "nobody.example")
			if errors.Is(err, ErrNoDomain) {
				return nil
			}
			return err
		},
	}
	for name, ask := range all {
		ctx, missed := FromMemory(context.Background())
		if name == "host" {
			r.A(context.Background(), "host.example") // half of it is known: that is an answer, but not all
		}
		before := len(s.Asked())
		if err := ask(ctx); !errors.Is(err, ErrTemporary) && name != "host" || !missed.Load() || !HasMissed(ctx) || len(s.Asked()) != before {
			t.Errorf("%s, not yet known: %v, missed %v", name, err, missed.Load())
		}
		if err := ask(context.Background()); err != nil || HasMissed(context.Background()) {
			t.Errorf("%s: %v", name, err)
		}
		ctx, missed = FromMemory(context.Background())
		before = len(s.Asked())
		if err := ask(ctx); err != nil || missed.Load() || !IsFromMemory(ctx) || len(s.Asked()) != before {
			t.Errorf("%s, known: %v, missed %v", name, err, missed.Load())
		}
	}
}
