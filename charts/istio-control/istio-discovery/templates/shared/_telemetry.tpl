{{/* The proxies' releases. Each gets filters of its own, since a filter's form may change from one to the next. */}}
{{- define "telemetry.releases" -}}
1.13 1.14 1.15 1.16 1.17
{{- end }}

{{/*
An EnvoyFilter that adds one filter to proxies of one release. Takes root, name (of the object), release, layer (http or
network), filter (its name), patches (a list of context and typed, the filter's type_url and value as text), and optionally
before (the HTTP filter to precede) and anywhere (the release may match anywhere in a proxy's version).
*/}}
{{- define "telemetry.filter" -}}
{{- $http := eq .layer "http" -}}
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata:
  name: {{ .name }}-{{ .release }}{{ include "istiod.suffix" .root }}
  namespace: {{ .root.Values.meshConfig.rootNamespace | default .root.Release.Namespace }}
  labels:
    istio.io/rev: {{ include "istiod.revision" .root | quote }}
spec:
  # Ahead of the filters that users add.
  priority: -1
  configPatches:
  {{- range .patches }}
  - applyTo: {{ $http | ternary "HTTP_FILTER" "NETWORK_FILTER" }}
    match:
      context: {{ .context }}
      proxy:
        proxyVersion: '{{ if not $.anywhere }}^{{ end }}{{ $.release | replace "." "\\." }}.*'
      listener:
        filterChain:
          filter:
            {{- if $http }}
            name: envoy.filters.network.http_connection_manager
            subFilter:
              name: {{ $.before | default "envoy.filters.http.router" }}
            {{- else }}
            name: envoy.filters.network.tcp_proxy
            {{- end }}
    patch:
      operation: INSERT_BEFORE
      value:
        name: {{ $.filter }}
        typed_config:
          "@type": type.googleapis.com/udpa.type.v1.TypedStruct
          {{- .typed | nindent 10 }}
  {{- end }}
{{- end }}

{{/*
A filter run by Envoy's WebAssembly host. Takes layer, config (the plugin's), code (the name of a plugin built into the
proxy), and optionally id, vm and compiled (the file of a compiled module, instead of code).
*/}}
{{- define "telemetry.wasm" -}}
type_url: type.googleapis.com/envoy.extensions.filters.{{ .layer }}.wasm.v3.Wasm
value:
  config:
    {{- with .id }}
    root_id: {{ . }}
    {{- end }}
    configuration:
      "@type": type.googleapis.com/google.protobuf.StringValue
      value: |
        {{- .config | toPrettyJson | nindent 8 }}
    vm_config:
      {{- with .vm }}
      vm_id: {{ . }}
      {{- end }}
      {{- if .compiled }}
      runtime: envoy.wasm.runtime.v8
      allow_precompiled: true
      code:
        local:
          filename: {{ .compiled }}
      {{- else }}
      runtime: envoy.wasm.runtime.null
      code:
        local:
          inline_string: {{ .code }}
      {{- end }}
{{- end }}

{{/* The request metrics of one release and layer. Takes root, name, release and layer. */}}
{{- define "telemetry.stats" -}}
{{- $prometheus := .root.Values.telemetry.v2.prometheus }}
{{- $override := $prometheus.configOverride | default dict }}
{{- $http := eq .layer "http" }}
{{- $outbound := dict "context" "SIDECAR_OUTBOUND" "override" $override.outboundSidecar "id" "stats_outbound" "config" dict }}
{{- $inbound := dict "context" "SIDECAR_INBOUND" "override" $override.inboundSidecar "id" "stats_inbound" "config" dict }}
{{- $gateway := dict "context" "GATEWAY" "override" $override.gateway "id" "stats_outbound" "config" dict }}
{{- if $http }}
{{- /* A host that a client made up must not become a metric's label. */}}
{{- range list $inbound $gateway }}{{ $_ := set .config "disable_host_header_fallback" true }}{{ end }}
{{- end }}
{{- $patches := $http | ternary (list $outbound $inbound $gateway) (list $inbound $outbound $gateway) }}
{{- range $patches }}
{{- if eq $.release "1.17" }}
{{- $plugin := dict "type_url" "type.googleapis.com/stats.PluginConfig" "value" (.override | default .config) }}
{{- $_ := set . "typed" (toYaml $plugin) }}
{{- else }}
{{- $config := .override | default (merge .config (dict "debug" "false" "stat_prefix" "istio")) }}
{{- $compiled := $prometheus.wasmEnabled | ternary "/etc/istio/extensions/stats-filter.compiled.wasm" "" }}
{{- $_ := set . "typed" (include "telemetry.wasm" (dict "layer" $.layer "config" $config "id" .id
      "vm" ($http | ternary .id (print "tcp_" .id)) "code" "envoy.wasm.stats" "compiled" $compiled)) }}
{{- end }}
{{- end }}
{{- include "telemetry.filter" (merge (dict "filter" "istio.stats" "patches" $patches) .) }}
{{- end }}

{{/* Metrics and logs for Stackdriver, of one release and layer. Takes root, name, release and layer. */}}
{{- define "telemetry.stackdriver" -}}
{{- $stackdriver := .root.Values.telemetry.v2.stackdriver }}
{{- $client := dict "access_logging" ($stackdriver.outboundAccessLogging | default "") "metric_expiry_duration" "3600s" }}
{{- $server := dict "access_logging" ($stackdriver.inboundAccessLogging | default "") "metric_expiry_duration" "3600s"
      "disable_server_access_logging" (not $stackdriver.logging) }}
{{- $edge := deepCopy $client }}
{{- if eq .layer "http" }}
{{- range list $server $edge }}{{ $_ := set . "disable_host_header_fallback" true }}{{ end }}
{{- end }}
{{- $patches := list
      (dict "context" "SIDECAR_INBOUND" "id" "stackdriver_inbound" "config" $server)
      (dict "context" "GATEWAY" "id" "stackdriver_outbound" "config" $edge) }}
{{- if not $stackdriver.disableOutbound }}
{{- $patches = prepend $patches (dict "context" "SIDECAR_OUTBOUND" "id" "stackdriver_outbound" "config" $client) }}
{{- end }}
{{- range $patches }}
{{- $_ := set . "typed" (include "telemetry.wasm" (dict "layer" $.layer "id" .id "vm" .id
      "config" ($stackdriver.configOverride | default .config) "code" "envoy.wasm.null.stackdriver")) }}
{{- end }}
{{- include "telemetry.filter" (merge (dict "filter" "istio.stackdriver" "patches" $patches) .) }}
{{- end }}
