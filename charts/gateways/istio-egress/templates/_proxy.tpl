{{/*
The gateway's container. With an injection template it is a sketch, which the injector completes: image, arguments,
probe and most of the environment come from there.
*/}}
{{- define "gateway.proxy" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) -}}
- name: istio-proxy
  {{- if $gateway.injectionTemplate }}
  image: auto
  {{- else }}
  image: {{ include "gateway.image" . | quote }}
  args:
  {{- include "gateway.args" . | trim | nindent 2 }}
  readinessProbe:
    httpGet:
      path: /healthz/ready
      port: 15021
      scheme: HTTP
    initialDelaySeconds: 1
    periodSeconds: 2
    timeoutSeconds: 1
    successThreshold: 1
    failureThreshold: 30
  {{- end }}
  {{- with .Values.global.imagePullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  ports:
  {{- range $gateway.ports }}
  - containerPort: {{ .targetPort | default .port }}
    protocol: {{ .protocol | default "TCP" }}
  {{- end }}
  - name: http-envoy-prom
    containerPort: 15090
    protocol: TCP
  {{- if not $gateway.runAsRoot }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      drop: [ALL]
    privileged: false
    readOnlyRootFilesystem: true
  {{- end }}
  resources:
    {{- $gateway.resources | default .Values.global.defaultResources | toYaml | nindent 4 }}
  env:
  {{- include "gateway.env" . | trim | nindent 2 }}
  volumeMounts:
  {{- if not $gateway.injectionTemplate }}
  {{- include "gateway.mounts" . | trim | nindent 2 }}
  {{- end }}
  {{- include "gateway.userMounts" . | trim | nindent 2 }}
{{- end }}

{{- define "gateway.args" -}}
- proxy
- router
- --domain
- $(POD_NAMESPACE).svc.{{ .Values.global.proxy.clusterDomain }}
{{- with .Values.global.proxy.logLevel }}
- --proxyLogLevel={{ . }}
{{- end }}
{{- with .Values.global.proxy.componentLogLevel }}
- --proxyComponentLogLevel={{ . }}
{{- end }}
{{- with .Values.global.logging.level }}
- --log_output_level={{ . }}
{{- end }}
{{- if .Values.global.logAsJson }}
- --log_as_json
{{- end }}
{{- with .Values.global.sts.servicePort }}
- --stsPort={{ . }}
{{- end }}
{{- end }}
