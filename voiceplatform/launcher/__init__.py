"""What ``make run`` does: one command that brings the whole product up on one machine and takes it down again.

Knows processes, not torch: the inference server is started by exec and asked over its socket.
"""
