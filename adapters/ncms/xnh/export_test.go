package xnh

// Reencode reads an upload and writes it again.
func Reencode(message string) (string, error) {
	var u upload
	if err := decode(message, &u); err != nil {
		return "", err
	}
	d, err := u.port()
	return encode(uploadOf(d)), err
}
