{{/* Where the gateway may run: on nodes of the wanted architectures and labels, and away from pods to avoid. */}}
{{- define "gateway.affinity" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- $nodes := $gateway.nodeSelector | default .Values.global.defaultNodeSelector }}
{{- $arches := list }}
{{- range $arch, $weight := .Values.global.arch }}
{{- if gt (int $weight) 0 }}{{ $arches = append $arches $arch }}{{ end }}
{{- end }}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
  {{- if or .Values.global.arch $nodes }}
    nodeSelectorTerms:
    - matchExpressions:
      {{- if .Values.global.arch }}
      - key: kubernetes.io/arch
        operator: In
        values:
        {{- range $arches }}
        - {{ . }}
        {{- end }}
      {{- end }}
      {{- range $name, $value := $nodes }}
      - key: {{ $name }}
        operator: In
        values:
        - {{ $value | quote }}
      {{- end }}
  {{- end }}
  preferredDuringSchedulingIgnoredDuringExecution:
  {{- range $arches }}
  - weight: {{ index $.Values.global.arch . }}
    preference:
      matchExpressions:
      - key: kubernetes.io/arch
        operator: In
        values: [{{ . }}]
  {{- end }}
{{- if or $gateway.podAntiAffinityLabelSelector $gateway.podAntiAffinityTermLabelSelector }}
podAntiAffinity:
  {{- with $gateway.podAntiAffinityLabelSelector }}
  requiredDuringSchedulingIgnoredDuringExecution:
  {{- range . }}
  -
    {{- include "gateway.podTerm" . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $gateway.podAntiAffinityTermLabelSelector }}
  preferredDuringSchedulingIgnoredDuringExecution:
  {{- range . }}
  - weight: 100
    podAffinityTerm:
      {{- include "gateway.podTerm" . | nindent 6 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Pods to avoid. Takes an item of podAntiAffinityLabelSelector. */}}
{{- define "gateway.podTerm" -}}
topologyKey: {{ .topologyKey }}
{{- with .namespaces }}
namespaces:
{{- range split "," . }}
- {{ . | quote }}
{{- end }}
{{- end }}
labelSelector:
  matchExpressions:
  - key: {{ .key }}
    operator: {{ .operator }}
    {{- with .values }}
    values:
    {{- range split "," . }}
    - {{ . | quote }}
    {{- end }}
    {{- end }}
{{- end }}
