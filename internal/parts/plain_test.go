package parts

import (
	"mime"
	"slices"
	"testing"

	"paperpath/internal/message"
)

// FuzzPlainType: what is plain says nothing else to those who look more closely.
func FuzzPlainType(f *testing.F) {
	for _, s := range []string{"text/plain", "Text/HTML; charset=utf-8", `multipart/mixed; boundary="b"`,
		"message/rfc822;x=y", "text/plain;", "text/plain; a=b; c=d", "text / plain", `"text/plain"`, "text/plain (x)",
		"text/plain; name*=x", `text/plain; a="`, "text/plain; a", "text/plain; a =b", "text/", "text/plain;\ta=b "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		kind, ok := plainType(value)
		if !ok {
			return
		}
		h := &message.Header{Fields: []message.Field{{Name: "Content-Type", Value: value}}}
		if p := Of(h); !slices.Equal(p.Types, []string{kind}) {
			t.Fatalf("%q: %q, not %q", value, p.Types, kind)
		}
		if _, _, err := mime.ParseMediaType(value); err != nil {
			t.Fatalf("%q: %v", value, err)
		}
	})
}

// Which headers are known to have no more than one part.
func TestAloneByType(t *testing.T) {
	for value, want := range map[string]bool{"": true, "text/plain; charset=x": true, "multipart/mixed; boundary=b": false,
		"MESSAGE/rfc822": false, "multipart/mixed; a=b; boundary=c": false, "text/plain; a=b; c=d": true, "text": true} {
		h := &message.Header{Fields: []message.Field{{Name: "Content-Type", Value: value}}}
		if _, alone := Alone(h); alone != want {
			t.Errorf("%q: %v", value, alone)
		}
		h.Fields = append(h.Fields, message.Field{Name: "content-type", Value: "multipart/x; boundary=b"})
		if _, alone := Alone(h); alone {
			t.Errorf("%q and a multipart", value)
		}
	}
	if _, alone := Alone(&message.Header{}); !alone {
		t.Error("without a type")
	}
}
