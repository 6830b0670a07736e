package main

import "github.com/spf13/cobra"

// commands names every command of the binary.
func commands() []*cobra.Command {
	return []*cobra.Command{
		// one line each, in the order a newcomer needs them
		serveCmd(),
		setupCmd(),
		engineCmd(),
		simCmd(),
		fhirpathCmd(),
		viewCmd(),
		mapCmd(),
		alertsCmd(),
		extractCmd(),
		loadCmd(),
		benchCmd(),
		exportCmd(),
		convertCmd(),
		validateCmd(),
		sourceCmd(),
		replayCmd(),
		cdaCmd(),
		conformanceCmd(),
	}
}
