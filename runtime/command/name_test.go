package command

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// commandsNamed returns commands whose error is their full name.
func commandsNamed(t *testing.T, names ...string) []Command {
	var commands []Command
	for _, full := range names {
		service, name, ok := strings.Cut(full, "/")
		if !ok {
			service, name = "", full
		}
		command := commandOf(descriptorOf(t, "replies.proto", "Nothing"))
		command.Service, command.Name, command.Doc = service, name, "Calls "+full+"."
		command.Call.do = once(answer(nil, errors.New(full)))
		commands = append(commands, command)
	}
	return commands
}

func TestNamesOfSeveralServices(t *testing.T) {
	shop := commandsNamed(t, "shop.v1.Orders/get", "shop.v2.Orders/get", "shop.v1.Items/get", "shop.v1.Items/list", "shop.v1.Items/help", "ping")
	nested := commandsNamed(t, "Orders/get", "v1.Orders/get", "shop.v1.Orders/get", "Reorders/get")
	cased := commandsNamed(t, "shop.Orders/get", "shop.orders/get")
	mixed := commandsNamed(t, "get", "shop.Orders/get")
	for _, test := range []struct {
		commands []Command
		word     string
		want     string
	}{
		{shop, "list", "list: shop.v1.Items/list"},
		{shop, "items.list", "list: shop.v1.Items/list"},
		{shop, "v1.items.list", "list: shop.v1.Items/list"},
		{shop, "shop.v1.Items.list", "list: shop.v1.Items/list"},
		{shop, "Items.get", "Items.get: shop.v1.Items/get"},
		{shop, "ITEMS.get", "Items.get: shop.v1.Items/get"},
		{shop, "v2.orders.get", "v2.Orders.get: shop.v2.Orders/get"},
		{shop, "shop.v2.orders.get", "v2.Orders.get: shop.v2.Orders/get"},
		{shop, "items.help", "Items.help: shop.v1.Items/help"},
		{shop, "ping", "ping: ping"},
		{shop, "get", `"get" may mean any of: v1.Orders.get, v2.Orders.get, Items.get (run 'receiver-client help')`},
		{shop, "orders.get", `"orders.get" may mean any of: v1.Orders.get, v2.Orders.get (run 'receiver-client help')`},
		{shop, "tems.list", noCommand("tems.list")},
		{shop, "shop.list", noCommand("shop.list")},
		{shop, "x.shop.v1.Items.list", noCommand("x.shop.v1.Items.list")},
		{shop, "items.LIST", noCommand("items.LIST")},
		{shop, ".list", noCommand(".list")},
		{shop, ".ping", noCommand(".ping")},
		{shop, "help help", noCommand("help")},

		{nested, "Orders.get", "Orders.get: Orders/get"},
		{nested, "v1.Orders.get", "v1.Orders.get: v1.Orders/get"},
		{nested, "shop.v1.Orders.get", "shop.v1.Orders.get: shop.v1.Orders/get"},
		{nested, "shop.V1.orders.get", "shop.v1.Orders.get: shop.v1.Orders/get"},
		{nested, "reorders.get", "Reorders.get: Reorders/get"},
		{nested, "orders.get", `"orders.get" may mean any of: Orders.get, v1.Orders.get, shop.v1.Orders.get (run 'receiver-client help')`},

		{cased, "shop.Orders.get", "shop.Orders.get: shop.Orders/get"},
		{cased, "shop.orders.get", "shop.orders.get: shop.orders/get"},
		{cased, "Orders.get", `"Orders.get" may mean any of: shop.Orders.get, shop.orders.get (run 'receiver-client help')`},

		{mixed, "get", "get: get"},
		{mixed, "orders.get", "Orders.get: shop.Orders/get"},
	} {
		t.Run(test.word, func(t *testing.T) {
			out, err := run(t.Context(), test.commands, strings.Fields(test.word)...)
			if fmt.Sprint(err) != test.want || out != "" {
				t.Errorf("the error is\n%v, want\n%s; it prints %q", err, test.want, out)
			}
		})
	}
}

func noCommand(word string) string {
	return fmt.Sprintf("no command %q; the commands are: v1.Orders.get, v2.Orders.get, Items.get, list, Items.help, ping (run 'receiver-client help')", word)
}

// Errors name a command as the user can type it.
func TestErrorsHaveTheShortestName(t *testing.T) {
	commands := commandsNamed(t, "shop.v1.Orders/get", "shop.v2.Orders/get")
	_, err := run(t.Context(), commands, "shop.v1.orders.get", "--nothing")
	const want = "v1.Orders.get: flag provided but not defined: -nothing (run 'receiver-client help v1.Orders.get')"
	if fmt.Sprint(err) != want {
		t.Errorf("the error is\n%v, want\n%s", err, want)
	}
}

func TestNamesThatNoProgramMayHave(t *testing.T) {
	for _, test := range []struct {
		names []string
		want  string
	}{
		{[]string{"shop.Orders/get", "ping", "shop.Orders/get"}, `the program has a bug: it has two commands "shop.Orders.get"`},
		{[]string{"ping", "ping"}, `the program has a bug: it has two commands "ping"`},
		{[]string{"help"}, `the program has a bug: "help" is built in, but a command without a service has that name`},
	} {
		for _, args := range []string{"", "help", "ping"} {
			out, err := run(t.Context(), commandsNamed(t, test.names...), strings.Fields(args)...)
			if fmt.Sprint(err) != test.want || out != "" {
				t.Errorf("%s: the error is\n%v, want\n%s; it prints %q", args, err, test.want, out)
			}
		}
	}
}

func TestHelpOfSeveralServices(t *testing.T) {
	commands := commandsNamed(t, "shop.v1.Orders/get", "shop.v2.Orders/get", "shop.v2.Orders/list", "shop.v2.Orders/help")
	commands[0].Deprecated, commands[0].Doc = true, "Finds an order.\nIt knows old ones only."
	commands[2].Deprecated, commands[2].Doc = true, ""
	golden(t, commands, map[string][]string{
		"help-services.txt":        {"help", "--help"},
		"help-deprecated.txt":      {"help v1.orders.get", "shop.v1.Orders.get --help"},
		"help-deprecated-list.txt": {"help list", "orders.list -h"},
		"help-help.txt":            {"help orders.help", "orders.help --help"},
	})
}

func TestDeprecatedCommandsWorkAsEver(t *testing.T) {
	commands := commandsNamed(t, "get")
	commands[0].Deprecated = true
	if out, err := run(t.Context(), commands, "get"); fmt.Sprint(err) != "get: get" || out != "" {
		t.Errorf("the error is %v, it prints %q", err, out)
	}
}
