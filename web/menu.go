package web

import (
	"slices"
	"time"
)

// Link is one entry of a menu.
type Link struct {
	URL, Name string
	Current   bool
}

// Page is what the shared layout needs of every page.
type Page struct {
	Title, Version, ZoneName string
	User                     string // who is logged in, "" = nobody
	Local                    bool   // loopback without login: pages say so
	Menu                     []Link // the main menu
	Section                  []Link // the menu of the page's section; none = no section
}

// NewPage makes the layout's data; current is the URL of the page's entry in
// the main menu or in its section's.
func NewPage(title, version string, zone *time.Location, local bool, current string) Page {
	p := Page{Title: title, Version: version, ZoneName: zone.String(), Local: local, Menu: mark(mainMenu(), current)}
	if section := mark(consoleMenu(), current); marked(section) {
		p.Section = section
		p.Menu = mark(p.Menu, section[0].URL)
	}
	return p
}

// mainMenu names the parts of the web; an application adds its first page here.
func mainMenu() []Link {
	return []Link{{URL: "/", Name: "运行情况"}, {URL: "/supervision", Name: "业务监管"}, {URL: "/warehouse/dictionary", Name: "数据字典"}, {URL: "/guide", Name: "实施指南"}, {URL: "/console/resources", Name: "管理控制台"}}
}

// consoleMenu names the pages of operators. The first is where the main menu
// leads.
func consoleMenu() []Link {
	return []Link{
		{URL: "/console/resources", Name: "资源"},
		{URL: "/console/subscriptions", Name: "订阅"},
		{URL: "/console/jobs", Name: "作业"},
		{URL: "/console/dead-letters", Name: "待修复消息"},
		{URL: "/console/sources", Name: "来源"},
		{URL: "/console/messages", Name: "消息"},
		{URL: "/console/alerts", Name: "告警"},
		{URL: "/console/codes", Name: "代码对照"},
		{URL: "/console/maps", Name: "消息映射"},
		{URL: "/console/settlements", Name: "结算"},
	}
}

func mark(menu []Link, current string) []Link {
	for i := range menu {
		menu[i].Current = menu[i].URL == current
	}
	return menu
}

func marked(menu []Link) bool {
	for _, l := range menu {
		if l.Current {
			return true
		}
	}
	return false
}

// Within shows the page under a menu of its application; current is the URL of
// the page's entry there.
func (p Page) Within(section []Link, current string) Page {
	p.Section = mark(slices.Clone(section), current)
	return p
}
