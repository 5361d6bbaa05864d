package main

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"example.com/hooked/internal/receiver-runtime/server"
)

// tokens checks who calls, by JSON Web Tokens of one issuer.
type tokens struct {
	key    crypto.PublicKey
	parser *jwt.Parser
}

// readKey returns a check by the issuer's public key, in PEM format. What the parser
// wants is fixed here: a token must not choose its own algorithm, must be for this
// service, and must end some day.
func readKey(file string) (tokens, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tokens{}, fmt.Errorf("--jwt-key: %w", err)
	}
	key, err := jwt.ParseEdPublicKeyFromPEM(text)
	if err != nil {
		return tokens{}, fmt.Errorf("--jwt-key %s: %w", file, err)
	}
	return tokens{key, jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithAudience("parcels"),
		jwt.WithExpirationRequired(),
	)}, nil
}

// admit lets a call in that has a token, and those that ask for the health. The call goes
// on with who made it, see caller. A call is refused before its request is received.
func (t tokens) admit(ctx context.Context, call server.Call) (context.Context, error) {
	if strings.HasPrefix(call.Method, "/grpc.health.v1.Health/") {
		return ctx, nil
	}
	sent := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(sent) != 1 || !strings.HasPrefix(sent[0], "Bearer ") {
		return nil, status.Error(codes.Unauthenticated, "want the metadata authorization: Bearer TOKEN")
	}
	claims := new(jwt.RegisteredClaims)
	_, err := t.parser.ParseWithClaims(strings.TrimPrefix(sent[0], "Bearer "), claims,
		func(*jwt.Token) (any, error) { return t.key, nil })
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	if claims.Subject == "" {
		return nil, status.Error(codes.Unauthenticated, "the token does not name its subject")
	}
	return context.WithValue(ctx, callerKey{}, claims.Subject), nil
}

type callerKey struct{}

// caller returns the subject of the token that a call came with, or "".
func caller(ctx context.Context) string {
	subject, _ := ctx.Value(callerKey{}).(string)
	return subject
}
