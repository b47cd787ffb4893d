{{/* The tracer that global.proxy.tracer names, with the settings of global.tracer that are not empty. */}}
{{- define "mesh.tracing" -}}
{{- $tracer := .Values.global.proxy.tracer }}
{{- $fields := dict
      "lightstep" (list "address" "accessToken")
      "zipkin" (list "address")
      "datadog" (list "address")
      "stackdriver" (list "debug" "maxNumberOfAttributes" "maxNumberOfAnnotations" "maxNumberOfMessageEvents") }}
{{- $settings := dict
      "zipkin" (dict "address" (printf "zipkin.%s:9411" .Values.global.istioNamespace))
      "datadog" (dict "address" "$(HOST_IP):8126") }}
{{- $tracing := dict }}
{{- if hasKey $fields $tracer }}
{{- $own := index .Values.global.tracer $tracer | default dict }}
{{- $set := index $settings $tracer | default dict }}
{{- range index $fields $tracer }}
{{- if index $own . }}{{ $_ := set $set . (index $own .) }}{{ end }}
{{- end }}
{{- if or $set (ne $tracer "stackdriver") }}{{ $_ := set $tracing $tracer $set }}{{ end }}
{{- else if eq $tracer "openCensusAgent" }}
{{- with .Values.meshConfig.defaultConfig }}{{ $tracing = .tracing | default dict }}{{ end }}
{{- end }}
{{- toYaml $tracing }}
{{- end }}

{{/* The service that stands for an istiod elsewhere: istiod's own name, unless one that runs here has it. */}}
{{- define "mesh.remoteService" -}}
{{- if eq (toString .Values.pilot.enabled) "true" }}istiod-remote{{ else }}istiod{{ end }}
{{- end }}

{{/* Where proxies find istiod. */}}
{{- define "mesh.discoveryAddress" -}}
{{- include (.Values.global.remotePilotAddress | empty | ternary "istiod.name" "mesh.remoteService") . -}}
.{{ .Release.Namespace }}.svc:15012
{{- end }}

{{/* The mesh configuration: what follows from the values, with meshConfig laid over it. */}}
{{- define "mesh.config" -}}
{{- $own := .Values.meshConfig | default dict }}
{{- $proxy := dict "discoveryAddress" (include "mesh.discoveryAddress" .) "tracing" (include "mesh.tracing" . | fromYaml) }}
{{- with .Values.global.meshID }}{{ $_ := set $proxy "meshId" . }}{{ end }}
{{- with .Values.global.proxy.variant | default .Values.global.variant }}
{{- $_ := set $proxy "image" (dict "imageType" .) }}
{{- end }}
{{- $mesh := dict "trustDomain" "cluster.local" "rootNamespace" ($own.rootNamespace | default .Values.global.istioNamespace)
      "defaultConfig" $proxy }}
{{- mergeOverwrite $mesh $own | toYaml }}
{{- end }}
