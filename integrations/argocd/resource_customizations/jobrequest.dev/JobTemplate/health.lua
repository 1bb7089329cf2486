-- Health of a JobTemplate or ClusterJobTemplate: a broken one is Degraded, since requests in its scope are rejected.
local health = {status = "Progressing", message = "Waiting for the operator to look at it"}
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" then
    health.message = condition.message
    if condition.status == "True" then
      health.status = "Healthy"
    else
      health.status = "Degraded"
    end
  end
end
return health
