# The state machine of the simulated kubelet: from a pod, the name of the next step.
# Every pod stage selects on the answer, so at most one stage matches a pod.
def sim($key): .metadata.annotations["sim.jobrequest.dev/" + $key];
def terminal: .status.phase == "Succeeded" or .status.phase == "Failed";
def initialized: any(.status.conditions[]?; .type == "Initialized" and .status == "True");

if .metadata.deletionTimestamp then
  if (terminal | not) then "terminate"
  # A grace period of 0 says that the deletion was confirmed; what is left are finalizers of others.
  elif .metadata.deletionGracePeriodSeconds == 0 then "gone"
  else "delete" end
elif terminal then "ended"
elif .status.startTime == null then "create"
else
  (sim("container") // .spec.containers[0].name) as $target
  | [.spec.initContainers[]? | select(.restartPolicy == "Always") | .name] as $sidecars
  | (if initialized then .status.containerStatuses
     else [first(.status.initContainerStatuses[]?
       | select(.state.waiting or (.state.running and (IN(.name; $sidecars[]) | not))))] end) as $turn
  | (first($turn[] | select(.name == $target)) // $turn[0]) as $container
  | ($container.name == $target) as $hit
  | ($container.state.waiting.reason // "") as $reason
  | (if .spec.activeDeadlineSeconds then "deadline" else "stay" end) as $stuck
  | if any($turn[]; .state.waiting.reason == "CrashLoopBackOff") then "restart"
    elif $reason == "ErrImagePull" then "pull-backoff"
    elif $reason == "ImagePullBackOff" then (if $stuck == "deadline" then "deadline" else "pull-retry" end)
    elif $reason == "InvalidImageName" or $reason == "CreateContainerConfigError" then $stuck
    elif $reason != "" then
      if sim("mount") then $stuck
      elif $hit and (sim("pull") == "never" or sim("pull") == "badname") then "pull-failed"
      elif $hit and sim("pull") == "hang" then $stuck
      elif $hit and sim("config") then "config-missing"
      elif $hit and sim("start") == "error" then "start-error"
      elif initialized then "start"
      else "init-start" end
    elif (initialized | not) then "init-end"
    elif any($turn[]; .state.running) then
      if sim("run-seconds") == "forever" then $stuck
      elif sim("evict") == "true" then "evict"
      else "end" end
    elif any(.status.initContainerStatuses[]?; .state.running) then "sidecars-end"
    else "stay" end
end
