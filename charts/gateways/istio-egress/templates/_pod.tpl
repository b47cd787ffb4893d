{{/*
Labels of the pod. One that the injector completes asks for that here, and gets its canonical name there.
*/}}
{{- define "gateway.podLabels" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- include "gateway.selector" . }}
{{- if eq .Release.Namespace "istio-system" }}
heritage: Tiller
release: istio
chart: gateways
{{- end }}
{{- if $gateway.injectionTemplate }}
sidecar.istio.io/inject: "true"
{{- with .Values.revision }}
istio.io/rev: {{ . | quote }}
{{- end }}
{{ include "gateway.owner" . }}
{{- else }}
sidecar.istio.io/inject: "false"
service.istio.io/canonical-name: {{ $gateway.name | quote }}
service.istio.io/canonical-revision: {{ .Values.revision | default "latest" | quote }}
{{ include "gateway.origin" . }}
{{- end }}
{{- end }}

{{- define "gateway.podAnnotations" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- if .Values.meshConfig.enablePrometheusMerge }}
prometheus.io/port: "15020"
prometheus.io/scrape: "true"
prometheus.io/path: "/stats/prometheus"
{{- end }}
sidecar.istio.io/inject: {{ $gateway.injectionTemplate | empty | not | quote }}
{{- with $gateway.injectionTemplate }}
inject.istio.io/templates: {{ . | quote }}
{{- end }}
{{- with $gateway.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The init container that lets the proxy leave core dumps. */}}
{{- define "gateway.coreDump" -}}
- name: enable-core-dump
  image: {{ include "gateway.image" . | quote }}
  {{- with .Values.global.imagePullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  command: [/bin/sh]
  args:
  - -c
  - sysctl -w kernel.core_pattern=/var/lib/istio/data/core.proxy && ulimit -c unlimited
  # The pattern is the node's.
  securityContext:
    runAsUser: 0
    runAsGroup: 0
    runAsNonRoot: false
    privileged: true
{{- end }}
