"""How fast is this project, beside its peers and beside the machine? Run by `./scripts/bench`.

work        what is trained, and how many floating-point operations that takes
ours, peer_* and products   the contenders, each a compiled program that is ready to run
worker      a process of its own for contenders; contest lets them take turns
rows, scaling, end_to_end, determinism   the parts of the benchmark
bars, tables, report   what the figures must reach, and how they are shown
"""
