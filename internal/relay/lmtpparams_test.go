package relay

import (
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

// What go-smtp's client gets of an envelope: nothing that it would refuse.
func TestLMTPClientOptions(t *testing.T) {
	for words, want := range map[string]*smtp.MailOptions{
		"":                              {},
		"RET=HDRS ENVID=q+2B7":          {Return: smtp.DSNReturnHeaders, EnvelopeID: "q+7"},
		"RET=FULL SIZE=4 BODY=8BITMIME": {Return: smtp.DSNReturnFull},
		"RET=half ENVID=+0A":            {},
	} {
		if d := cmp.Diff(want, mailOptions(words)); d != "" {
			t.Errorf("%s: %s", words, d)
		}
	}
	for words, want := range map[string]*smtp.RcptOptions{
		"":             {},
		"NOTIFY=NEVER": {Notify: []smtp.DSNNotify{smtp.DSNNotifyNever}},
		"NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@example.org": {
			Notify:                []smtp.DSNNotify{smtp.DSNNotifySuccess, smtp.DSNNotifyDelayed},
			OriginalRecipientType: smtp.DSNAddressTypeRFC822, OriginalRecipient: "a+b@example.org"},
		`ORCPT=utf-8;\x{FC}nal@example.net`: {OriginalRecipientType: smtp.DSNAddressTypeUTF8, OriginalRecipient: "ünal@example.net"},
		"NOTIFY=SOMETIMES ORCPT=x400;a":     {},
		"ORCPT=rfc822;a+0Ab":                {},
	} {
		if d := cmp.Diff(want, rcptOptions(words)); d != "" {
			t.Errorf("%s: %s", words, d)
		}
	}
}
