package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// usage is cobra's layout in Chinese.
const usage = `用法：{{if and .Runnable (not (index .Annotations "group"))}}
  {{.UseLine}} [选项]{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [命令]{{end}}{{if .HasExample}}

例子：
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

命令：{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

选项：
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

“{{.CommandPath}} 命令 --help” 说明一个命令的用法。{{end}}
`

// speakChinese makes what cobra adds to a command and those below it Chinese.
func speakChinese(root *cobra.Command) {
	root.SetUsageTemplate(usage)
	root.PersistentFlags().BoolP("help", "h", false, "显示说明")
	root.Flags().BoolP("version", "v", false, "显示版本")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Use: "help [命令]", Short: "说明一个命令的用法", Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			found, _, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			return found.Help()
		}})
	refuseUnknown(root)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("选项有误（%w），“%s --help” 列出可用的选项", err, c.CommandPath())
	})
}

// refuseUnknown makes commands say how they are called when they are called
// otherwise, and those that only hold others name what they do not know.
func refuseUnknown(c *cobra.Command) {
	c.DisableFlagsInUseLine = true // the layout adds it in Chinese
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if check(c, args) != nil {
				return fmt.Errorf("参数个数不对。用法：%s；“%s --help” 有详细说明", c.UseLine(), c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		refuseUnknown(sub)
	}
	if c.Runnable() || !c.HasSubCommands() {
		return
	}
	c.Args, c.SuggestionsMinimumDistance = cobra.ArbitraryArgs, 2
	c.Annotations = map[string]string{"group": "true"}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		near := ""
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			near = "，是否想写 " + s[0]
		}
		return fmt.Errorf("没有命令 %q%s？“%s --help” 列出全部命令", args[0], near, c.CommandPath())
	}
}
