# What the trainings of all tasks share. List it after a library's own default_runtime.py.
custom_imports = dict(imports=['mmkw'], allow_failed_imports=False)

# Random numbers depend on the epoch alone, so that a resumed training equals an uninterrupted one.
custom_hooks = [dict(type='EpochSeedHook')]
