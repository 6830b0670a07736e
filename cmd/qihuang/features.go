package main

import (
	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/features"
)

// mountFeatures adds the page that tells what the FHIR server supports.
func (h *hub) mountFeatures(r gin.IRouter) error {
	a, err := features.New(features.Config{Version: version, Zone: h.zone, Local: h.cfg.loopback()}, h.log)
	if err != nil {
		return err
	}
	a.Mount(r)
	return nil
}
