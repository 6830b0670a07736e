// Package blob gives the hub its object store: an S3 of the operator, or an
// embedded one when none is configured. Either is reached through minio-go only,
// so moving to a real S3 is a change of address.
//
// The embedded store speaks S3 on loopback (gofakes3), checks AWS signatures
// against keys made for the data folder, and keeps objects as files: their
// bytes are on disk before the index (bbolt) names them, so a crash leaves the
// old object or the new one, never half of either.
package blob
