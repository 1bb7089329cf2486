{{- /* Parts of a pod status, as a kubelet words them. Every part takes a dict; .pod is the whole pod, .now the time. */ -}}
{{- define "condition" -}}
{{- /* A condition which keeps its status keeps its lastTransitionTime. */ -}}
{{- $since := .now -}}
{{- range .pod.status.conditions }}{{ if and (eq .type $.type) (eq .status $.status) }}{{ $since = .lastTransitionTime }}{{ end }}{{ end -}}
{"type": {{ toJson .type }}, "status": {{ toJson .status }}, "reason": {{ toJson (.reason | default "") }}, "message": {{ toJson (.message | default "") }}, "lastProbeTime": null, "lastTransitionTime": {{ toJson $since }}, "observedGeneration": {{ .pod.metadata.generation | default 1 }}}
{{- end -}}

{{- define "waiting-conditions" }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "PodReadyToStartContainers" "status" (.sandbox | default "True")) }}
{{- if .initialized }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "Initialized" "status" "True") }}
{{- else }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "Initialized" "status" "False" "reason" "ContainersNotInitialized" "message" (printf "containers with incomplete status: [%s]" (join " " .incomplete))) }}
{{- end }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "Ready" "status" "False" "reason" "ContainersNotReady" "message" (printf "containers with unready status: [%s]" (join " " .unready))) }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "ContainersReady" "status" "False" "reason" "ContainersNotReady" "message" (printf "containers with unready status: [%s]" (join " " .unready))) }}
{{- end -}}

{{- define "running-conditions" }}
{{- $root := . }}{{ range list "PodReadyToStartContainers" "Initialized" "Ready" "ContainersReady" }}
- {{ template "condition" (dict "pod" $root.pod "now" $root.now "type" . "status" "True") }}
{{- end }}
{{- end -}}

{{- define "ended-conditions" }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "PodReadyToStartContainers" "status" "False" "reason" "PodSandboxNotReady" "message" "pod sandbox is not ready") }}
{{- if .ok }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "Initialized" "status" "True" "reason" "PodCompleted") }}
{{- end }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "Ready" "status" "False" "reason" (ternary "PodCompleted" "PodFailed" .ok)) }}
- {{ template "condition" (dict "pod" .pod "now" .now "type" "ContainersReady" "status" "False" "reason" (ternary "PodCompleted" "PodFailed" .ok)) }}
{{- end -}}

{{- define "network" -}}
{{- /* An address made from the uid: the same in every step, and none runs out. */ -}}
{{- $n := .pod.metadata.uid | adler32sum | int -}}
{{- $ip := .pod.status.podIP | default (printf "10.%d.%d.%d" (mod (div $n 65536) 256) (mod (div $n 256) 256) (mod $n 256)) -}}
podIP: {{ toJson $ip }}
podIPs: [{"ip": {{ toJson $ip }}}]
{{- end -}}

{{- define "mounts" -}}
"volumeMounts": [{{ range $i, $mount := .container.volumeMounts }}{{ if $i }}, {{ end }}{"name": {{ toJson $mount.name }}, "mountPath": {{ toJson $mount.mountPath }}{{ if $mount.readOnly }}, "readOnly": true, "recursiveReadOnly": "Disabled"{{ end }}}{{ end }}]
{{- end -}}

{{- define "container-id" -}}
"containerID": {{ toJson (printf "containerd://%s" (sha256sum (printf "%s/%s/%v" .pod.metadata.uid .container.name (.restarts | default 0)))) }}
{{- end -}}

{{- define "waiting" -}}
{"name": {{ toJson .container.name }}, "image": {{ toJson .container.image }}, "imageID": "", "ready": false, "started": false, "restartCount": 0, "lastState": {}, "state": {"waiting": {"reason": {{ toJson .reason }}{{ with .message }}, "message": {{ toJson . }}{{ end }}}}, {{ template "mounts" . }}}
{{- end -}}

{{- define "created" -}}
{{- /* What a container has from its creation on. The image's full name: docker.io/library/ for a bare one, docker.io/ for one without a registry host. */ -}}
{{- $image := .container.image -}}
{{- if not (contains "/" $image) }}{{ $image = printf "docker.io/library/%s" $image }}
{{- else if not (regexMatch "^([^/]*[.:][^/]*|localhost)/" $image) }}{{ $image = printf "docker.io/%s" $image }}{{ end -}}
"name": {{ toJson .container.name }}, "image": {{ toJson $image }}, "imageID": {{ toJson (printf "%s@sha256:%s" (regexReplaceAll "(@.*|:[^/]*)$" $image "") (sha256sum $image)) }}, {{ template "container-id" . }}, "restartCount": {{ .restarts | default 0 }}, "resources": {{ toJson (.container.resources | default dict) }}, "user": {"linux": {"gid": 0, "supplementalGroups": [0], "uid": 0}}, {{ template "mounts" . }}
{{- end -}}

{{- define "running" -}}
{ {{- template "created" . }}, "ready": true, "started": true, "lastState": {{ toJson (.last | default dict) }}, "state": {"running": {"startedAt": {{ toJson .now }}}}}
{{- end -}}

{{- define "terminated-state" -}}
{"terminated": { {{- template "container-id" . }}, "exitCode": {{ .exit }}, "reason": {{ toJson .reason }}{{ with .message }}, "message": {{ toJson . }}{{ end }}, "startedAt": {{ toJson .started }}, "finishedAt": {{ toJson .now }}}}
{{- end -}}

{{- define "terminated" -}}
{ {{- template "created" . }}, "ready": {{ .ready | default false }}, "started": false, "lastState": {{ toJson (.last | default dict) }}, "state": {{ template "terminated-state" . }}}
{{- end -}}

{{- /* What every stage starts from: the annotations, the container they are about (the first one unless named), the statuses by name. */}}
{{ $pod := . }}{{ $now := Now }}
{{ $sim := .metadata.annotations | default dict }}
{{ $target := get $sim "sim.jobrequest.dev/container" | default (index .spec.containers 0).name }}
{{ $old := dict }}
{{ range .status.initContainerStatuses }}{{ $_ := set $old .name . }}{{ end }}
{{ range .status.containerStatuses }}{{ $_ := set $old .name . }}{{ end }}
{{ $initialized := false }}
{{ range .status.conditions }}{{ if and (eq .type "Initialized") (eq .status "True") }}{{ $initialized = true }}{{ end }}{{ end }}
{{ $names := list }}{{ range .spec.containers }}{{ $names = append $names .name }}{{ end }}
{{ $inits := list }}{{ range .spec.initContainers }}{{ $inits = append $inits .name }}{{ end }}
