// Package login finds the user of a name and password among those a
// configuration lists with the SHA-256 of their passwords.
package login

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// User is somebody a configuration lists.
type User interface {
	// Credentials are the name and the SHA-256 of the password in lower-case hex.
	Credentials() (name, passwordSHA256 string)
}

// Validate refuses, as fault.Invalid, a user without a name of its own or without
// a hash; place names the setting.
func Validate[U User](place string, users []U) error {
	seen := map[string]bool{}
	for _, u := range users {
		name, hash := u.Credentials()
		if b, err := hex.DecodeString(hash); name == "" || seen[name] || err != nil || len(b) != sha256.Size {
			return fault.New(fault.Invalid, "配置 %s 的用户 %q 要有不重复的 name 和 passwordSHA256（口令的 SHA-256，64 位十六进制）", place, name)
		}
		seen[name] = true
	}
	return nil
}

// Find returns the user with this name and password, or nil. It takes the same
// time for an unknown name as for a wrong password.
func Find[U User](users []U, name, password string) *U {
	sum := sha256.Sum256([]byte(password))
	given := hex.EncodeToString(sum[:])
	var found *U
	for i := range users {
		n, hash := users[i].Credentials()
		if subtle.ConstantTimeCompare([]byte(n), []byte(name))&subtle.ConstantTimeCompare([]byte(hash), []byte(given)) == 1 {
			found = &users[i]
		}
	}
	return found
}
