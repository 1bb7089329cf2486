-- Asks for a run of the same spec, through the annotation, which no Git repository holds: so nothing drifts.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["jobrequest.dev/rerun"] = "argocd-" .. os.date("!%Y-%m-%dT%XZ")
return obj
