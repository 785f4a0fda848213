package compose

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// Recipients returns the addresses in To, Cc and Bcc. Those of a message that
// was resent are in its topmost block (RFC 5322 3.6.6).
func Recipients(h *message.Header) ([]addr.Address, error) {
	fields, prefix := h.Fields, ""
	if block := resentBlock(h); len(block) > 0 {
		fields, prefix = block, "resent-"
	}
	var all []addr.Address
	for _, f := range fields {
		name, ours := strings.CutPrefix(addr.Fold(f.Name), prefix)
		if !ours || name != "to" && name != "cc" && name != "bcc" {
			continue
		}
		list, err := addr.ParseList(f.Value)
		if err != nil {
			return nil, status.Refuse("5.1.3", fmt.Sprintf("%s: %v", f.Name, err))
		}
		all = append(all, list...)
	}
	return all, nil
}

// resentBlock returns the topmost block of Resent- fields: a second field of
// the same name, or any other field, ends it.
func resentBlock(h *message.Header) []message.Field {
	var block []message.Field
	seen := map[string]bool{}
	for _, f := range h.Fields {
		name := addr.Fold(f.Name)
		switch is := strings.HasPrefix(name, "resent-"); {
		case !is && len(block) == 0:
			continue
		case !is || seen[name]:
			return block
		}
		seen[name] = true
		block = append(block, f)
	}
	return block
}
