package login

import "testing"

type user struct{ name, hash string }

func (u user) Credentials() (name, passwordSHA256 string) { return u.name, u.hash }

const secret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" // of "secret"

func TestFind(t *testing.T) {
	users := []user{{"a", secret}, {"b", secret[1:] + "0"}}
	for _, c := range []struct {
		name, password string
		found          bool
	}{{"a", "secret", true}, {"b", "secret", false}, {"a", "", false}, {"", "", false}, {"c", "secret", false}} {
		if got := Find(users, c.name, c.password); (got != nil) != c.found || got != nil && got.name != c.name {
			t.Errorf("%q %q: %v", c.name, c.password, got)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		users []user
		ok    bool
	}{{nil, true}, {[]user{{"a", secret}}, true}, {[]user{{"", secret}}, false}, {[]user{{"a", secret}, {"a", secret}}, false}, {[]user{{"a", "secret"}}, false}, {[]user{{"a", secret[2:]}}, false}} {
		if err := Validate("users", c.users); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.users, err)
		}
	}
}
