{{/* The way of the traffic, which is all that the charts istio-ingress and istio-egress differ in: they share their files. */}}
{{- define "gateway.direction" -}}
{{ trimPrefix "istio-" .Chart.Name }}
{{- end }}
