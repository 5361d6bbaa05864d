package project

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

// get adds the tools of the module, and what its code needs, to go.mod. The needs are
// written there first, so that the Go command loads all modules only once.
func (p *plan) get(ctx context.Context) error {
	edits := []string{"mod", "edit"}
	for _, need := range p.missing() {
		edits = append(edits, "-require="+need)
	}
	if len(edits) > 2 {
		if err := p.run(ctx, edits...); err != nil {
			return err
		}
	}
	if tools := p.tools(); len(tools) > 0 {
		return p.run(ctx, append([]string{"get", "-tool"}, tools...)...)
	}
	return nil
}

// tools returns the tools that go.mod does not have yet, in the versions to get.
func (p *plan) tools() (tools []string) {
	all := compile.Tools()
	if p.config.Version != "" {
		all = append(all, module.Version{Path: self, Version: p.config.Version})
	}
	for _, tool := range all {
		if !p.has(tool.Path) {
			tools = append(tools, tool.Path+"@"+p.version(tool))
		}
	}
	return tools
}

// version returns the version of a tool to get: that of its module, if go.mod requires
// that already.
func (p *plan) version(tool module.Version) string {
	version, of := tool.Version, ""
	if p.gomod == nil {
		return version
	}
	for _, r := range p.gomod.Require {
		if strings.HasPrefix(tool.Path+"/", r.Mod.Path+"/") && len(r.Mod.Path) > len(of) && r.Mod.Path != "google.golang.org/grpc" {
			version, of = r.Mod.Version, r.Mod.Path
		}
	}
	return version
}

// missing returns the modules that go.mod does not require yet.
func (p *plan) missing() []string {
	return slices.DeleteFunc(slices.Clone(p.needs), func(need string) bool {
		name, _, _ := strings.Cut(need, "@")
		return p.gomod != nil && slices.ContainsFunc(p.gomod.Require, func(r *modfile.Require) bool { return r.Mod.Path == name })
	})
}

// run runs the Go command in the module.
func (p *plan) run(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = p.dir
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(output))
	}
	return nil
}
