package dsn

import (
	"errors"
	"maps"
	"strings"

	"paperpath/internal/status"
)

// why is what a status code means to a person who does not know SMTP.
type why struct {
	what string // what happened, a sentence
	do   string // what the sender can do, a sentence; "" if it is nothing
}

// What a sender can do, and what several codes have in common.
const (
	check        = "Check the address for typing errors, or ask the recipient for it in another way."
	smaller      = "Send less at once, or share large files in another way."
	later        = "Send the message again later."
	askOther     = "Ask the recipient, in another way, to have it allowed."
	beyondASCII  = "The mail system of the recipient takes only ASCII in addresses and headers."
	asciiOnly    = "Use an address of ASCII letters alone."
	badSignature = "The mail system of the recipient does not like the message's signature (DKIM)."
	notAllowed   = "The domain of your address does not allow our mail system to send for it (SPF)."

	askOurs = "Show this report to those who run the mail system that you use."
)

// codes are the status codes (RFC 3463 3, and the registry that RFC 5248 began) without
// their class. A subject alone stands for its codes that are not listed.
func codes() map[string]why {
	all := map[string]why{}
	for _, part := range []map[string]why{addressCodes(), mailboxCodes(), systemCodes(), networkCodes(),
		protocolCodes(), contentCodes(), policyCodes()} {
		maps.Copy(all, part)
	}
	return all
}

func addressCodes() map[string]why {
	return map[string]why{
		"1":   {"The address was not accepted.", check},
		"1.1": {"There is no mailbox with this address.", check},
		"1.2": {"The domain of this address does not exist, or has no mail.",
			"Check what stands after the @."},
		"1.3": {"This is not a valid address.", check},
		"1.4": {"More than one mailbox may be meant by this address.", check},
		"1.6": {"The recipient has moved, and left no new address.",
			"Ask the recipient for the new address."},
		"1.7":  {"Your own address was not accepted as that of a sender.", askOurs},
		"1.8":  {"The domain of your own address was not accepted.", askOurs},
		"1.9":  {"The message was handed to a system that cannot report about it.", ""},
		"1.10": {"The domain of this address accepts no mail at all.", check},
	}
}

func mailboxCodes() map[string]why {
	return map[string]why{
		"2":   {"The mailbox cannot take the message.", later},
		"2.1": {"The mailbox is disabled.", "Reach the recipient in another way."},
		"2.2": {"The mailbox is full.",
			"Tell the recipient in another way, and send the message again later."},
		"2.3": {"The message is larger than this mailbox allows.", smaller},
		"2.4": {"This is a list, and it could not be resolved into its members.",
			"Tell those who run the list."},
	}
}

func systemCodes() map[string]why {
	return map[string]why{
		"3":   {"The mail system of the recipient has a problem.", later},
		"3.1": {"The mail system of the recipient has no space left.", later},
		"3.2": {"The mail system of the recipient accepts no messages at present.", later},
		"3.3": {"The mail system of the recipient lacks a feature that the message needs.", ""},
		"3.4": {"The message is too large for the mail system of the recipient.", smaller},
		"3.5": {"A mail system on the way is not set up correctly.", askOurs},
	}
}

func networkCodes() map[string]why {
	return map[string]why{
		"4":   {"The mail system of the recipient could not be reached.", later},
		"4.1": {"The mail system of the recipient did not answer.", later},
		"4.2": {"The connection to the mail system of the recipient broke.", later},
		"4.3": {"The directory of the Internet, the DNS, gave no answer about the recipient's domain.",
			later},
		"4.4": {"No host is known that takes mail for this address.", check},
		"4.5": {"The mail system of the recipient is overloaded.", later},
		"4.6": {"The message goes round in circles.", askOurs},
		"4.7": {"The message could not be delivered in the time that it had.", later},
	}
}

func protocolCodes() map[string]why {
	return map[string]why{
		"5":   {"Two mail systems did not understand each other.", askOurs},
		"5.3": {"The message has too many recipients.", "Send it to fewer recipients at once."},
	}
}

func contentCodes() map[string]why {
	return map[string]why{
		"6":    {"The mail system of the recipient does not take what the message contains.", ""},
		"6.1":  {"The mail system of the recipient does not take this kind of content.", ""},
		"6.3":  {"The message would have had to be converted, which is not possible.", ""},
		"6.6":  {"The message could not be converted completely.", ""},
		"6.7":  {beyondASCII, asciiOnly},
		"6.9":  {beyondASCII, asciiOnly},
		"6.10": {beyondASCII, asciiOnly},
	}
}

func policyCodes() map[string]why {
	return map[string]why{
		"7":    {"The mail system of the recipient refuses the message by its rules.", askOther},
		"7.1":  {"The mail system of the recipient refuses the message by its rules.", askOther},
		"7.2":  {"You may not send to this list.", "Ask those who run the list."},
		"7.4":  {"The message needs a protection that a mail system on the way does not have.", ""},
		"7.5":  {"The message could not be protected as it has to be.", ""},
		"7.7":  {"The message was changed on its way.", ""},
		"7.8":  {"A mail system on the way asked ours for a login that it did not get.", askOurs},
		"7.9":  {"A mail system on the way asked ours for a stronger login.", askOurs},
		"7.10": {"A mail system on the way insists on encryption.", askOurs},
		"7.11": {"A mail system on the way insists on encryption.", askOurs},
		"7.13": {"The account of the recipient is disabled.", "Reach the recipient in another way."},
		"7.17": {"The mailbox has another owner now.", "Ask the recipient for the new address."},
		"7.20": {badSignature, askOurs},
		"7.21": {badSignature, askOurs},
		"7.22": {badSignature, askOurs},
		"7.23": {notAllowed, askOurs},
		"7.24": {notAllowed, askOurs},
		"7.25": {"The network address of our mail system has no proper name in the DNS (PTR).", askOurs},
		"7.26": {"The message does not prove that it comes from your address (SPF, DKIM).", askOurs},
		"7.27": {"The domain of your own address accepts no mail, so none is accepted from it.", askOurs},
		"7.28": {"The mail system of the recipient gets too much mail from ours, or too much unwanted.",
			askOurs},
		"7.29": {"The proof of how the message was forwarded (ARC) is not valid.", askOurs},
		"7.30": {"You asked for verified encryption on the whole way (REQUIRETLS), and it cannot be had.",
			"Send the message without this demand if you may."},
	}
}

// byReply are the replies of hosts that send no status code of their own (RFC 5321
// 4.2.3, RFC 7504): they name the code whose words fit.
func byReply() map[int]string {
	return map[int]string{450: "2", 451: "3", 452: "3.1", 521: "1.10", 551: "1.6", 552: "2", 553: "1",
		556: "1.10", 571: "7.1"}
}

// whyOf finds the words for a failure.
func whyOf(err error) why {
	var expired *Expired
	if errors.As(err, &expired) {
		err = expired.Cause
	}
	all := codes()
	_, code, _ := strings.Cut(status.Enhanced(err), ".")
	subject, _, _ := strings.Cut(code, ".")
	var e *status.Error
	if subject == "0" && errors.As(err, &e) {
		code = byReply()[e.Reply]
		subject, _, _ = strings.Cut(code, ".")
	}
	for _, c := range []string{code, subject} {
		if w, ok := all[c]; ok {
			return w
		}
	}
	if status.IsTemporary(err) {
		return why{"There is a temporary problem.", ""}
	}
	return why{"The mail system of the recipient refuses the message.",
		"Check the address, and read what that system said."}
}
