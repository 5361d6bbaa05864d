package conformance

// Without the comments of the protos: they are of another project.
//go:generate sh generate.sh
