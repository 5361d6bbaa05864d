package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
)

// roles are the attributes of a CloudEvent, as the event log names them.
var roles = []string{"ID", "Source", "Type", "Subject", "Time"}

// findEvents finds the RPCs that were taken for ones that take events: their
// skeletons append to the event log. What fills an event's roles stands where
// the method of the log that is called is declared.
func (r *Result) findEvents(dir string) error {
	filled := map[string]string{} // by the method of the log
	err := goFiles(dir, func(at string, file *ast.File) {
		if strings.HasSuffix(filepath.Base(filepath.Dir(at)), "events") {
			for _, declared := range file.Decls {
				if function, ok := declared.(*ast.FuncDecl); ok && function.Recv != nil {
					filled[filepath.Dir(at)+"."+function.Name.Name] = fills(file)
				}
			}
		}
	})
	if err != nil {
		return err
	}
	return goFiles(filepath.Join(dir, "internal"), func(at string, file *ast.File) {
		for _, service := range r.Services {
			if strings.HasSuffix(service.impl, filepath.ToSlash(strings.TrimPrefix(filepath.Dir(at), dir))) && !strings.HasSuffix(at, "_test.go") {
				service.markEvents(file, filled)
			}
		}
	})
}

// markEvents marks the RPCs whose skeletons in a file append events.
func (s *Service) markEvents(file *ast.File, filled map[string]string) {
	for _, declared := range file.Decls {
		function, ok := declared.(*ast.FuncDecl)
		if !ok || function.Recv == nil {
			continue
		}
		appended := appends(function)
		i := slices.IndexFunc(s.RPCs, func(rpc RPC) bool { return goName(rpc.Name) == function.Name.Name })
		if appended == "" || i < 0 {
			continue
		}
		s.RPCs[i].Events = "by unknown fields"
		for method, by := range filled {
			if strings.HasSuffix(method, "."+appended) {
				s.RPCs[i].Events = cmp.Or(by, s.RPCs[i].Events)
			}
		}
	}
}

// appends is the method of the event log that a function calls.
func appends(function *ast.FuncDecl) (method string) {
	ast.Inspect(function, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(selector.Sel.Name, "Append") {
				return true
			}
			if _, of := selector.X.(*ast.SelectorExpr); of { // s.events
				method = selector.Sel.Name
			}
		}
		return true
	})
	return method
}

// fills says which fields of a message fill the roles of an event, by a file
// that makes the one of the other.
func fills(file *ast.File) string {
	by := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		pair, ok := node.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		role, ok := pair.Key.(*ast.Ident)
		if !ok || !slices.Contains(roles, role.Name) {
			return true
		}
		ast.Inspect(pair.Value, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok {
				if field, getter := strings.CutPrefix(selector.Sel.Name, "Get"); getter {
					by[role.Name] = field
				}
			}
			return true
		})
		return true
	})
	var parts []string
	for _, role := range roles {
		if by[role] != "" {
			parts = append(parts, fmt.Sprintf("%s=%s", strings.ToLower(role), by[role]))
		}
	}
	return strings.Join(parts, " ")
}
