package model

// Variation returns a copy of a module in which services differ: change is called with
// the copy of each. It shows what another run makes of the same protos, such as one
// before an RPC took events.
func Variation(m *Module, change func(*Service)) *Module {
	module := *m
	programs := map[*Program]*Program{}
	module.Programs = nil
	for _, program := range m.Programs {
		one := &Program{Module: &module, Name: program.Name}
		programs[program] = one
		module.Programs = append(module.Programs, one)
	}
	module.Packages = nil
	for _, pkg := range m.Packages {
		one := *pkg
		one.Program = programs[pkg.Program]
		one.Services, one.EventTypes = nil, nil
		for _, service := range pkg.Services {
			copied := service.copy(&one)
			change(copied)
			one.Services = append(one.Services, copied)
		}
		for _, event := range pkg.EventTypes {
			if one.has(event) {
				one.EventTypes = append(one.EventTypes, event)
			}
		}
		one.Program.Packages = append(one.Program.Packages, &one)
		module.Packages = append(module.Packages, &one)
	}
	return &module
}

func (s *Service) copy(pkg *Package) *Service {
	service := *s
	service.Package, service.Methods = pkg, nil
	for _, method := range s.Methods {
		one := *method
		one.Service = &service
		service.Methods = append(service.Methods, &one)
	}
	return &service
}

// has reports whether an RPC of the package takes or reads an event, or it is made for
// one that has the log.
func (p *Package) has(event *Event) bool {
	for _, service := range p.Services {
		if service.hasLog {
			return true
		}
		for _, method := range service.Methods {
			if method.Event == event {
				return true
			}
		}
	}
	return false
}

// ForgetEvents makes RPCs of a service ones that have nothing to do with events. With
// hasLog the service still has the log.
func ForgetEvents(s *Service, hasLog bool, which func(*Method) bool) {
	s.hasLog = hasLog
	for _, method := range s.Methods {
		if which(method) {
			method.Kind = method.Kind.withoutEvents()
			method.Event, method.Holder, method.Reply, method.From = nil, nil, Reply{}, From{}
		}
	}
}
