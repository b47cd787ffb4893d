{{/* What injection templates see as .Values. */}}
{{- define "injector.values" -}}
{{- pick .Values "global" "istio_cni" "sidecarInjectorWebhook" "revision" | toPrettyJson }}
{{- end }}

{{/* The injector's configuration. Its templates are istiod's to evaluate, one pod at a time; a user's replaces one of ours. */}}
{{- define "injector.config" -}}
{{- $webhook := .Values.sidecarInjectorWebhook }}
{{- $files := dict "sidecar" "injection-template" "gateway" "gateway-injection-template" "grpc-simple" "grpc-simple"
      "grpc-agent" "grpc-agent" -}}
policy: {{ .Values.global.proxy.autoInject }}
alwaysInjectSelector:
  {{- $webhook.alwaysInjectSelector | default list | toYaml | nindent 2 }}
neverInjectSelector:
  {{- $webhook.neverInjectSelector | default list | toYaml | nindent 2 }}
injectedAnnotations:
  {{- range $name, $value := $webhook.injectedAnnotations }}
  {{ $name }}: {{ $value | quote }}
  {{- end }}
# What an injector that does not know the fields below would use: it must fail.
template: "{{ `{{ Template_Version_And_Istio_Version_Mismatched_Check_Installation }}` }}"
defaultTemplates:
  {{- $webhook.defaultTemplates | default (list "sidecar") | toYaml | nindent 2 }}
templates:
  {{- range $name, $file := $files }}
  {{- if not (hasKey ($webhook.templates | default dict) $name) }}
  {{ $name }}: |
    {{- printf "files/%s.yaml" $file | $.Files.Get | trim | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $webhook.templates }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
