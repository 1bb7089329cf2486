// Command kstatus tells what tools that read kstatus make of objects: Flux, Helm 4, kpt and the like.
//
// It takes objects on stdin, as JSON, one after the other, and prints a line of JSON for each: the status which
// sigs.k8s.io/cli-utils computes, and its message.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	objects, results := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var object map[string]any
		if err := objects.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an object: %w", err)
		}
		// Through the API machinery's own decoder: numbers are int64 there, as in a client.
		text, err := json.Marshal(object)
		if err != nil {
			return fmt.Errorf("write an object: %w", err)
		}
		var decoded unstructured.Unstructured
		if err := decoded.UnmarshalJSON(text); err != nil {
			return fmt.Errorf("decode an object: %w", err)
		}
		result, err := status.Compute(&decoded)
		if err != nil {
			return fmt.Errorf("compute the status of %s: %w", decoded.GetName(), err)
		}
		if err := results.Encode(map[string]string{"status": result.Status.String(), "message": result.Message}); err != nil {
			return fmt.Errorf("write a result: %w", err)
		}
	}
}
