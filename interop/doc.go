// Package interop has, in the packages below it, tests of generated servers with the
// clients and tools that others use with them. They are a module of their own because
// those bring much that nothing else here needs.
package interop
