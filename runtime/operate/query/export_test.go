package query

// What tests compare with.
var (
	AppendField = appendField
	IsWhole     = isWhole

	FormatTimestamp = formatTimestamp
)
