package parts

import "slices"

// set has each text once, in the order in which they came, and no empty one. A map finds
// them where they are many: a field may say a great many.
type set struct {
	list []string
	has  map[string]struct{} // from few texts on
}

const few = 8

func (s *set) add(more ...string) {
	for _, m := range more {
		if m == "" || s.contains(m) {
			continue
		}
		if s.list = append(s.list, m); len(s.list) == few {
			s.has = map[string]struct{}{}
			for _, had := range s.list {
				s.has[had] = struct{}{}
			}
		} else if s.has != nil {
			s.has[m] = struct{}{}
		}
	}
}

func (s *set) contains(m string) bool {
	if s.has == nil {
		return slices.Contains(s.list, m)
	}
	_, had := s.has[m]
	return had
}

// add is the list with what is new and not empty. It is for a few.
func add(list []string, more ...string) []string {
	s := set{}
	s.add(list...)
	s.add(more...)
	return s.list
}
