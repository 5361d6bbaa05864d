// Command parcels-token prints a token for parcels-server. It takes the place of an identity
// provider, so that the example can be tried.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func main() {
	file := flag.String("key", "issuer.pem", "`file` with the private key, for Ed25519 in PEM format")
	subject := flag.String("subject", "", "who calls with the token")
	valid := flag.Duration("valid", time.Hour, "for how long")
	flag.Parse()
	token, err := sign(*file, *subject, *valid)
	if err != nil {
		fmt.Fprintln(os.Stderr, "parcels-token:", err)
		os.Exit(1)
	}
	fmt.Println(token)
}

func sign(file, subject string, valid time.Duration) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	key, err := jwt.ParseEdPrivateKeyFromPEM(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Subject:   subject,
		Audience:  jwt.ClaimStrings{"parcels"},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(valid)),
	}).SignedString(key)
}
