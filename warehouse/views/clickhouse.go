package views

// ClickHouse returns the column type of a ClickHouse table for the column:
// nullable scalars, arrays for collections. Dates are typed; a partial date
// (1970-06) becomes the day it begins. A tag clickhouse/type overrides it.
func (c *Column) ClickHouse() string {
	for _, t := range c.Tags {
		if t.Name == "clickhouse/type" {
			return t.Value
		}
	}
	base := clickhouseType(c.Type)
	if c.Collection {
		return "Array(" + base + ")"
	}
	return "Nullable(" + base + ")"
}

func clickhouseType(fhirType string) string {
	switch fhirType {
	case "boolean":
		return "Bool"
	case "integer", "positiveInt", "unsignedInt":
		return "Int32"
	case "integer64":
		return "Int64"
	case "decimal":
		return "Decimal(18, 6)"
	case "date":
		return "Date32"
	case "dateTime", "instant":
		return "DateTime64(3, 'UTC')"
	}
	return "String"
}
