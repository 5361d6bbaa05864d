// Package templates holds the templates of the generated files, laid out as
// the files are; see internal/render for how a path is read.
package templates

import "embed"

// Files is the tree.
//
//go:embed program package service event method all:project
var Files embed.FS
