{{/* The gateway's container: a sketch that the sidecar injector completes by the pod's template annotation. */}}
{{- define "gateway.proxy" -}}
- name: istio-proxy
  # The injector puts the control plane's own image here.
  image: auto
  {{- with .Values.imagePullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  securityContext:
    {{- include "gateway.containerSecurity" . | nindent 4 }}
  env:
  {{- with .Values.networkGateway }}
  - name: ISTIO_META_REQUESTED_NETWORK_VIEW
    value: {{ . | quote }}
  {{- end }}
  {{- range $name, $value := .Values.env }}
  - name: {{ $name | quote }}
    value: {{ $value | quote }}
  {{- end }}
  ports:
  - name: http-envoy-prom
    containerPort: 15090
    protocol: TCP
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
