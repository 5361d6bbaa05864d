//runtime:with metrics Stats

package server

import "time"

// Stats are figures of a server since it listens.
type Stats struct {
	// Connections are those that are open, of gRPC and of HTTP (see package web).
	Connections int
	// CertificateEnds is when the server's certificate ends, or one that leads from it
	// to its root. It is zero without TLS.
	CertificateEnds time.Time
	// Files are those that the server watches, by the name given to [Watch];
	// "certificates" are those of TLS.
	Files map[string]FileStats
}

// FileStats counts how often files that had changed were loaded (not counting
// the first time), and how often what was in them could not be used.
type FileStats struct{ Reloads, Failures int64 }

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	stats := Stats{Connections: s.limits.connections.count(), Files: map[string]FileStats{}}
	if s.certificates != nil {
		stats.CertificateEnds = s.certificates.ends()
	}
	for _, files := range s.watched {
		stats.Files[files.name] = FileStats{files.reloads.Load(), files.failures.Load()}
	}
	return stats
}

// ends returns when the first of the server's own certificates ends.
func (c *certificates) ends() time.Time { return c.current.Load().ends[0].at }
