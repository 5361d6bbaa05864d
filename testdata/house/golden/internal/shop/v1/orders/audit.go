package orders

// audited reports whether this house audits what the service stores.
func (s *Service) audited() bool { return s.events != nil }

var _ = (*Service).audited
