package authres

import "testing"

// Whatever program may read our id in a field that is not ours, the field goes.
func TestClaimedBy(t *testing.T) {
	const ours = "mx.example.net"
	for _, value := range []string{
		"mx.example.net; spf=pass", "MX.Example.NET;x", "\n mx.example.net\n ;x", "mx.example.net", "mx.example.net spf=pass",
		"(c) mx.example.net 1; x", "mx(c).example.net;", `"mx.example.net";`, `"mx.exa\mple.net"; x`, "mx.example.net.;", "mx.example.net..;",
		"mx.example.net 1; none", "mx.example.net1;", "mx.example.net/1; x", "mx.example.net v1; x", "mx.example.net 1.0;", "mx.example.net -1;",
		"mx\u3002example\uff0enet; x", "m\u00adx.example.net; x", "mx.example.net\u200b; x", "\u200dmx.example.net; x", "\ufeffmx.example.net; x",
		"mx.example.net\u00a0; x", "mx.example.net\u00a01; x", "mx.example.net\xff; x", "mx.example.net\x00; x", "mx.example.net\v; x",
		"=?utf-8?q?mx.example.net?=; x", "mx%2eexample.net; x", "mx.example%2Enet; x",
		"mx.example.net, other.example; x", "other.example, mx.example.net; x", "other.example mx.example.net; x", "x:mx.example.net; x",
		"mx.example.net:25; x", "<mx.example.net>; x", "[mx.example.net]; x", "'mx.example.net'; x", "mx.example.net=1; x", "mx.example.net@;",
		";mx.example.net; spf=pass", " ; ;mx.example.net; spf=pass",
		"(mx.example.net; spf=pass", `"mx.example.net; spf=pass`,
		`"mx.example.net\`, `(mx.example.net\`, `mx.example.net\`,
	} {
		if !ClaimedBy(value, ours) {
			t.Errorf("%q is not found", value)
		}
	}
	for _, value := range []string{"mx.example.org; spf=pass", "example.net; x", "relay.mx.example.net; x", "mx.example.net.evil.example; x",
		"xmx.example.net; x", "mx-example.net; x", "mx.example.org; spf=pass smtp.helo=mx.example.net",
		"mx.example.org (mx.example.net); x", "mx.exampl\u0435.net; x", ""} {
		if ClaimedBy(value, ours) {
			t.Errorf("%q is taken for ours", value)
		}
	}
	if !ClaimedBy("b\u00fccher.example; spf=pass", "xn--bcher-kva.example") {
		t.Error("a U-label is not found")
	}
}
