-- Suspends the active run, or holds back the next one. Self-heal undoes it, as Git says otherwise.
obj.spec.suspend = true
return obj
