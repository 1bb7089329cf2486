// Command argo-lua runs the Lua of an Argo CD resource customization as Argo CD does, with the interpreter and the
// JSON encoder that Argo CD pins.
//
// It takes `health`, `discover` or `action`, and the path of a script; objects come on stdin, as JSON, one after the
// other. For each it prints a line of JSON: the health; the actions offered, by name; or the object as the action
// returned it. What a script may use is what Argo CD allows it in production without `useOpenLibs`: the base and
// table libraries, and `date` and `time` of `require("os")`; one second of time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

// What Argo CD takes from a health script; anything else it shows as Unknown.
var healthStatuses = map[string]bool{
	"Healthy": true, "Suspended": true, "Progressing": true, "Missing": true, "Degraded": true, "Unknown": true,
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "argo-lua:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 2 {
		return errors.New("usage: argo-lua health|discover|action SCRIPT <objects")
	}
	script, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	objects, results := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var object map[string]any
		if err := objects.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an object: %w", err)
		}
		returned, err := evaluate(string(script), object)
		if err != nil {
			return fmt.Errorf("%s: %w", arguments[1], err)
		}
		switch arguments[0] {
		case "health":
			status, _ := returned["status"].(string)
			if !healthStatuses[status] {
				return fmt.Errorf("%s: %q is not a health status", arguments[1], status)
			}
		case "discover":
		case "action":
			keepShapes(returned, object)
		default:
			return fmt.Errorf("unknown command %s", arguments[0])
		}
		if err := results.Encode(returned); err != nil {
			return fmt.Errorf("write a result: %w", err)
		}
	}
}

// evaluate returns the table that the script returns when `obj` is the object.
func evaluate(script string, object map[string]any) (map[string]any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	libraries := map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	}
	for _, name := range []string{lua.LoadLibName, lua.BaseLibName, lua.TabLibName} {
		open := lua.P{Fn: state.NewFunction(libraries[name]), Protect: true}
		if err := state.CallByParam(open, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, safeOs)
	deadline, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(deadline)

	state.SetGlobal("obj", luajson.DecodeValue(state, object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	value := state.Get(-1)
	if value.Type() != lua.LTTable {
		return nil, fmt.Errorf("expected a table, not %s", value.Type())
	}
	text, err := luajson.Encode(value)
	if err != nil {
		return nil, err
	}
	if string(text) == "[]" {
		return map[string]any{}, nil // an empty table is an empty list to the encoder
	}
	var returned map[string]any
	return returned, json.Unmarshal(text, &returned)
}

// safeOs is the `os` library without what touches the machine.
func safeOs(state *lua.LState) int {
	whole := state.NewTable()
	state.Push(state.NewFunction(lua.OpenOs))
	state.Push(lua.LString(lua.OsLibName))
	state.Call(1, 1)
	opened, _ := state.Get(-1).(*lua.LTable)
	state.Pop(1)
	for _, name := range []string{"date", "time"} {
		whole.RawSetString(name, opened.RawGetString(name))
	}
	state.SetGlobal(lua.OsLibName, lua.LNil)
	state.Push(whole)
	return 1
}

// keepShapes makes empty maps of the original maps again, where Lua made lists of them. Argo CD does the same.
func keepShapes(returned, original map[string]any) {
	for key, value := range returned {
		returned[key] = keepShape(value, original[key])
	}
}

func keepShape(returned, original any) any {
	switch before := original.(type) {
	case map[string]any:
		switch now := returned.(type) {
		case map[string]any:
			keepShapes(now, before)
		case []any:
			if len(now) == 0 {
				return map[string]any{}
			}
		}
	case []any:
		if now, ok := returned.([]any); ok {
			for i := range min(len(now), len(before)) {
				now[i] = keepShape(now[i], before[i])
			}
		}
	}
	return returned
}
