//runtime:with prove

package servertest

// Where returns where the method of a service for an RPC is, such as
// "internal/orders/create.go:12", from the root of its module. It is "" if that is not
// known.
func Where(service any, rpc string) string { return position(service, rpc) }
