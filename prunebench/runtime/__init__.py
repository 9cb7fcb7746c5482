"""What a process knows of its machine and of its own work: devices, memory, versions, progress, random seeds.

- `devices`: devices, number formats, CPU cores, and how many jobs run at a time
- `memory`: free and peak memory, and how a process uses it
- `environment`: versions and hardware, as records name them
- `progress`: progress reports from a training to its listeners
- `signals`: signals that end a run, told apart from exceptions that code raises itself
- `limits`: how long single calls of plugins may take, and reports on those that take long
- `output`: lines and warnings of plugins, as progress reports under their names
- `text`: text of plugins, stores and bundles, made safe to print and to store
- `seeds`: independent random streams from one seed
"""
