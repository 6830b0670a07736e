package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpIsChinese asks every command for help and looks for cobra's English.
func TestHelpIsChinese(t *testing.T) {
	english := regexp.MustCompile(`(?m)^(Usage|Available Commands|Flags|Global Flags|Examples|Aliases):|help for |version for |Generate the autocompletion|\[flags\]`)
	var visit func(c *cobra.Command, path []string)
	visit = func(c *cobra.Command, path []string) {
		var out bytes.Buffer
		root := rootCmd()
		root.SetOut(&out)
		root.SetArgs(append(path, "--help"))
		if err := root.Execute(); err != nil {
			t.Errorf("%v: %v", path, err)
		}
		if m := english.FindString(out.String()); m != "" || !strings.Contains(out.String(), "用法：") {
			t.Errorf("help of %v: %q\n%s", path, m, out.String())
		}
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				visit(sub, append(path[:len(path):len(path)], sub.Name()))
			}
		}
	}
	visit(rootCmd(), nil)
}

func TestUnknownCommandIsExplained(t *testing.T) {
	for args, want := range map[string]string{
		"serv": "是否想写 serve", "nothing": `没有命令 "nothing"`, "view nothing": "qihuang view --help", "serve --nothing": "qihuang serve --help",
		"fhirpath": "参数个数不对",
	} {
		root := rootCmd()
		root.SetArgs(strings.Fields(args))
		if err := root.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}
