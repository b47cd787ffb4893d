{{/* The only template in which this chart differs from the one for the other direction. */}}
{{- define "gateway.direction" -}}
ingress
{{- end }}
