-- What the menu of a JobRequest offers.
local actions = {}
actions["rerun"] = {["iconClass"] = "fa fa-fw fa-redo", ["displayName"] = "Run again"}
if obj.spec.suspend then
  actions["resume"] = {["iconClass"] = "fa fa-fw fa-play", ["displayName"] = "Resume"}
else
  actions["suspend"] = {["iconClass"] = "fa fa-fw fa-pause", ["displayName"] = "Suspend"}
end
return actions
