-- Lets the suspended run go on, or the next one start.
obj.spec.suspend = false
return obj
