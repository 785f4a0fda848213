package params

import "testing"

func TestOriginal(t *testing.T) {
	for in, want := range map[string]string{
		"ORCPT=rfc822;info@example.net": "info@example.net", "orcpt=RFC822;info+2Bx@example.net NOTIFY=NEVER": "info+x@example.net",
		`ORCPT=rfc822;"a+20b"@example.net`: `"a b"@example.net`, `ORCPT=utf-8;\x{FC}nal@example.net`: "ünal@example.net",
		"ORCPT=utf-8;ünal@example.net": "ünal@example.net", "ORCPT=utf-8;info@example.net": "info@example.net",

		"": "", "ORCPT=": "", "ORCPT=rfc822;": "", "ORCPT=info@example.net": "", "ORCPT=rfc822;info": "", "ORCPT=x400;c=de": "",
		"ORCPT=rfc822;a+40b+40c": "", "ORCPT=rfc822;a+0Ab@example.net": "", "ORCPT=rfc822;a+FF+FE@example.net": "",
		"ORCPT=rfc822;+C3+BCnal@example.net": "", "ORCPT=rfc822;a@example.net+20+3Cb@x+3E": "", "ORCPT=rfc822;a+ZZ@example.net": "",
		"ORCPT=rfc822;+1B[2Ja@example.net": "", `ORCPT=utf-8;a\x{0A}b@example.net`: "", `ORCPT=utf-8;a\x{202E}b@example.net`: "",
		`ORCPT=utf-8;a\x{110000}@example.net`: "", `ORCPT=utf-8;\x{D800}@example.net`: "", "ORCPT=utf-8;\xff@example.net": "",
		"RCPT=info@example.net": "",
	} {
		if got := Original(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string][2]string{
		"ORCPT=rfc822;info+2Bx@example.net":              {"rfc822;info+2Bx@example.net", "info+x@example.net"},
		`ORCPT=UTF-8;\x{FC}nal@example.net`:              {`utf-8;\x{FC}nal@example.net`, "ünal@example.net"},
		"ORCPT=utf-8;ünal@example.net":                   {`utf-8;\x{FC}nal@example.net`, "ünal@example.net"},
		`ORCPT=utf-8;\x{5C}\x{2B}\x{1F40C}=@example.net`: {`utf-8;\x{5C}\x{2B}\x{1F40C}\x{3D}@example.net`, "\\+🐌=@example.net"},
		"": {}, "ORCPT=rfc822;": {}, "ORCPT=utf-8;": {}, "ORCPT=x400;a": {}, "ORCPT=rfc822;a+0Ab": {}, `ORCPT=utf-8;a\x{0A}b`: {}, "ORCPT=utf-8;\xff": {},
	} {
		if parameter, address := HandedOn(in); parameter != want[0] || address != want[1] {
			t.Errorf("%q: %q, %q, want %q", in, parameter, address, want)
		}
	}
	for in, want := range map[string]string{"RCPT=info+2Bx@example.net": "info+x@example.net", "rcpt=+C3+BCnal@example.net": "ünal@example.net",
		"RCPT=a": "", "RCPT=+0A@x": "", "ORCPT=rfc822;info@example.net": "", "": ""} {
		if got := Taken(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
