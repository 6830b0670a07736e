package xnh

import "github.com/qihuang-health/qihuang/adapters/ncms"

type text = ncms.Text

func decode(message string, into any) error { return ncms.DecodeJSON([]byte(message), into) }

func encode(v any) string { return string(ncms.EncodeJSON(v)) }
