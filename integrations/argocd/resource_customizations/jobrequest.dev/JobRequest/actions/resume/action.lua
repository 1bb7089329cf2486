-- Resumes the suspended run, or lets the next one start.
obj.spec.suspend = false
return obj
