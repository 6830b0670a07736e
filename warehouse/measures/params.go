package measures

// Params are the bound parameters {from:DateTime64(3, 'UTC')}, {to:…},
// {orgs:Array(String)}, {from_day:String} and {to_day:String} of SQL that is
// limited as the indicators are.
func (s Scope) Params() map[string]string { return s.params() }
