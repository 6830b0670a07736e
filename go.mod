module github.com/qihuang-health/qihuang

go 1.26
