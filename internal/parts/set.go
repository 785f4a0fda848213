package parts

// set has each text once, in the order in which they came, and no empty one. A map finds
// them: a field may say a great many.
type set struct {
	list []string
	has  map[string]struct{}
}

func (s *set) add(more ...string) {
	for _, m := range more {
		if _, had := s.has[m]; had || m == "" {
			continue
		}
		if s.has == nil {
			s.has = map[string]struct{}{}
		}
		s.has[m] = struct{}{}
		s.list = append(s.list, m)
	}
}

// add is the list with what is new and not empty. It is for a few.
func add(list []string, more ...string) []string {
	s := set{}
	s.add(list...)
	s.add(more...)
	return s.list
}
