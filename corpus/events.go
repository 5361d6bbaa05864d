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

// findEvents finds the RPCs that were recognised as taking events: their skeletons
// append to the event log. Which fields have the event's roles is read from the
// method of the log that they call.
func (r *Result) findEvents(dir string) error {
	fields := map[string]string{} // by the method of the log
	err := goFiles(dir, func(at string, file *ast.File) {
		if strings.HasSuffix(filepath.Base(filepath.Dir(at)), "events") {
			for _, declared := range file.Decls {
				if function, ok := declared.(*ast.FuncDecl); ok && function.Recv != nil {
					fields[filepath.Dir(at)+"."+function.Name.Name] = roleFields(file)
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
				service.markEvents(file, fields)
			}
		}
	})
}

// markEvents marks the RPCs whose skeletons in a file append events.
func (s *Service) markEvents(file *ast.File, fields map[string]string) {
	for _, declared := range file.Decls {
		function, ok := declared.(*ast.FuncDecl)
		if !ok || function.Recv == nil {
			continue
		}
		called := appendMethod(function)
		i := slices.IndexFunc(s.RPCs, func(rpc RPC) bool { return goName(rpc.Name) == function.Name.Name })
		if called == "" || i < 0 {
			continue
		}
		s.RPCs[i].Events = "by unknown fields"
		for method, by := range fields {
			if strings.HasSuffix(method, "."+called) {
				s.RPCs[i].Events = cmp.Or(by, s.RPCs[i].Events)
			}
		}
	}
}

// appendMethod returns the name of the event log's method that a function calls.
func appendMethod(function *ast.FuncDecl) (method string) {
	ast.Inspect(function, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(selector.Sel.Name, "Append") {
				return true
			}
			if _, ok := selector.X.(*ast.SelectorExpr); ok { // s.events
				method = selector.Sel.Name
			}
		}
		return true
	})
	return method
}

// roleFields returns which fields of a message have the roles of an event. file makes
// events of such messages.
func roleFields(file *ast.File) string {
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
				if field, ok := strings.CutPrefix(selector.Sel.Name, "Get"); ok {
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
