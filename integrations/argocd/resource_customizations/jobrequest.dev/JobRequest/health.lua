-- Health of a JobRequest. Its conditions conform to kstatus, so this reports what Flux and Helm report:
-- Stalled is Degraded, Reconciling is Progressing, Ready is Healthy. Ready with reason Suspended is Suspended.
-- Nothing but the base library is used, so that it works from argocd-cm without useOpenLibs.
local health = {status = "Progressing", message = "Waiting for the operator to look at it"}
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.status == "True" then
    conditions[condition.type] = condition
  elseif condition.type == "Ready" then
    health.message = condition.message
  end
end

if conditions.Stalled ~= nil then
  return {status = "Degraded", message = conditions.Stalled.message}
end
if conditions.Reconciling ~= nil or conditions.Ready == nil then
  return health
end
health.message = conditions.Ready.message
if conditions.PendingChanges ~= nil then
  health.message = conditions.PendingChanges.message
end
if conditions.Ready.reason == "Suspended" then
  health.status = "Suspended"
else
  health.status = "Healthy"
end
return health
